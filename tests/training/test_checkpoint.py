"""Where a run stands, and its way through a file: the same to the bit."""

import pytest
import torch
from safetensors import safe_open

from sure_pyro.models import hide
from sure_pyro.objectives import CorrelationELBO, Unchanged
from sure_pyro.training import History
from sure_pyro.training.checkpoint import (
    Progress,
    Record,
    load_checkpoint,
    load_trained_state,
    read_checkpoint,
    save_checkpoint,
    trained_state,
)
from sure_pyro.training.steps import AmortisedStep, HeadStep, ReconstructionStep
from tests.training.conftest import fingerprint, rows, small_model

ORIGIN = {"seed": 3, "train": {"rows": 40}}


def step_of(kind, memory=0):
    train = rows()
    model = small_model(train)
    latents = model.initialize(train).encode(train)
    step = kind(model, CorrelationELBO(0.5, memory=memory), Unchanged)
    optimizer = torch.optim.AdamW(step.parameters_to_train(), lr=0.01)
    return step, optimizer, latents


def take(step, optimizer, latents, number=1):
    """Optimiser steps with dropout and masks of the default generator."""
    losses = []
    for _ in range(number):
        loss = step.train()(latents, hide(latents))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


# -- progress -------------------------------------------------------------------------------------


def test_progress_counts_epochs_and_those_without_a_better_one():
    progress = Progress("head", best_value=1.0)
    better = [progress.take(value) for value in (2.0, 0.5, 0.5, 0.7, 0.4)]
    assert better == [False, True, False, False, True]
    assert progress == Progress("head", best_value=0.4, epoch=5, best_epoch=4, stale=0)


def test_an_epoch_that_is_not_a_number_is_no_better_one():
    progress = Progress("head", best_value=1.0)
    assert not progress.take(float("nan"))
    assert (progress.best_value, progress.best_epoch, progress.stale) == (1.0, -1, 1)


def test_a_record_goes_back_to_a_phase_with_what_rested_on_it(tmp_path):
    history = History([{"phase": p, "epoch": e} for p in "abc" for e in range(2)], {"c": 1})
    phases = [Progress(p, epoch=2, best_epoch=i) for i, p in enumerate("abc")]
    record = Record(tmp_path / "run", ORIGIN, history, phases)
    record.go_back_to(1)
    assert [p.phase for p in record.phases] == ["a", "b"]
    assert [r["phase"] for r in history.records] == ["a", "a", "b", "b"]
    assert history.best == {"a": 0, "b": 1}
    assert record.prefix == "1/"


def test_a_phase_that_begins_keeps_the_tensors_of_those_before(tmp_path):
    record = Record(tmp_path / "run", ORIGIN, over={"0/a": torch.zeros(1)})
    record.phases, record.latest = [Progress("a"), Progress("b")], {"1/b": torch.ones(1)}
    record.begin(Progress("c"))
    assert (list(record.over), record.latest, record.prefix) == (["0/a", "1/b"], {}, "2/")


# -- through a file -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [ReconstructionStep, HeadStep, AmortisedStep])
def test_what_comes_back_goes_on_to_the_same_bits(tmp_path, kind):
    """Weights, best weights, optimiser, memory and random state: the next steps are the same."""
    step, optimizer, latents = step_of(kind, memory=30)
    torch.manual_seed(7)
    take(step, optimizer, latents, 2)
    best = trained_state(step)
    take(step, optimizer, latents, 1)
    history = History([{"phase": step.name, "epoch": 0}], {step.name: 0})
    record = Record(tmp_path / "new" / "run", ORIGIN, history, [Progress(step.name, 0.1, 1, 0)])
    save_checkpoint(record, step, best, optimizer)
    expected = take(step, optimizer, latents, 3)

    other, its_optimizer, _ = step_of(kind, memory=30)
    torch.manual_seed(99)
    take(other, its_optimizer, latents, 1)  # it stands elsewhere
    read = read_checkpoint(record.path)
    its_best = load_checkpoint(read, other, its_optimizer)
    assert take(other, its_optimizer, latents, 3) == expected
    assert fingerprint(*other.trainable()) == fingerprint(*step.trainable())
    assert best.keys() == its_best.keys()
    assert all(torch.equal(best[name], its_best[name]) for name in best)


def test_what_is_read_is_what_the_run_was(tmp_path):
    step, optimizer, latents = step_of(HeadStep)
    take(step, optimizer, latents)
    phases = [Progress("reconstruction", 0.5, 4, 2, 1), Progress("head", 0.25, 1, 0)]
    history = History([{"phase": "head", "epoch": 0, "lr": 0.1}], {"head": 0})
    record = Record(tmp_path / "run", ORIGIN, history, phases, {"0/model/0/x": torch.ones(2)})
    save_checkpoint(record, step, trained_state(step), optimizer)
    read = read_checkpoint(record.path)
    assert (read.origin, read.history, read.phases) == (ORIGIN, history, phases)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]  # nothing temporary is left
    load_checkpoint(read, step, optimizer)
    assert list(read.over) == ["0/model/0/x"]
    assert all(name.startswith("1/") for name in read.latest)
    with safe_open(record.path, framework="pt") as file:
        kinds = {key.split("/")[1] for key in file.keys() if key.startswith("1/")}  # noqa: SIM118
    assert kinds == {"model", "best", "optimizer", "random"}


def test_the_state_of_a_phase_is_a_copy_of_what_it_trains():
    step, optimizer, latents = step_of(HeadStep)
    state, before = trained_state(step), fingerprint(step.model.head)
    take(step, optimizer, latents)
    assert fingerprint(step.model.head) != before
    reconstructor = fingerprint(step.model.reconstructor)
    load_trained_state(step, state)
    assert fingerprint(step.model.head) == before
    assert fingerprint(step.model.reconstructor) == reconstructor
    assert set(state) == {f"0/{name}" for name in step.model.head.state_dict()}


def test_a_file_of_another_kind_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "run")
    with pytest.raises(ValueError, match=r"run is no checkpoint: .* start anew"):
        read_checkpoint(tmp_path / "run")
    (tmp_path / "cut").write_bytes((tmp_path / "run").read_bytes()[:20])
    with pytest.raises(ValueError, match=r"cut can not be read .*cut short"):
        read_checkpoint(tmp_path / "cut")
    with pytest.raises(ValueError, match=r"absent can not be read"):
        read_checkpoint(tmp_path / "absent")
