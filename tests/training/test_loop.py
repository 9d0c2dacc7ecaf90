"""One phase: the best epoch, when it stops, and what is left in the model."""

import pytest
import torch
from lightning_fabric import Fabric

from sure_pyro.models import hide
from sure_pyro.objectives import preset
from sure_pyro.training import History, Settings, TrainingDiverged
from sure_pyro.training.epoch import evaluate, train_epoch
from sure_pyro.training.loop import run_phase
from sure_pyro.training.steps import HeadStep
from tests.training.conftest import fingerprint, rows, small_model


class Scripted(HeadStep):
    """A step whose selection losses are written down, the start's first; it keeps its weights."""

    def script(self, losses):
        self.losses, self.seen, self.shown = iter(losses), [], []
        return self

    def forward(self, latents, visible):
        if self.training:
            self.shown.append(latents.target)
        return super().forward(latents, visible)

    def selection_loss(self, loss):
        self.seen.append(fingerprint(self.model.head))
        return torch.tensor(next(self.losses))


@pytest.fixture
def problem():
    train = rows()
    model = small_model(train)
    latents = model.initialize(train).encode(train)
    return model, latents, hide(latents, torch.Generator().manual_seed(0))


def run(problem, losses, epochs, patience=30):
    model, latents, masks = problem
    step = Scripted(model, *preset("elbo")).script(losses)
    settings = Settings(epochs=epochs, lr=0.01, batch_size=16, patience=patience)
    fabric = Fabric(accelerator="cpu", devices=1)
    options = {"settings": settings, "fabric": fabric, "history": History()}
    return step, run_phase(step, latents, latents, masks, **options, progress_bar=False)


def test_the_weights_of_the_best_epoch_are_left(problem):
    step, history = run(problem, [1.0, 0.9, 0.5, 0.7, 0.6], epochs=4)
    assert history.best == {"head": 1}
    assert len(set(step.seen)) == 5  # every epoch moved them
    assert fingerprint(step.model.head) == step.seen[2]
    assert [r["epoch"] for r in history.records] == [0, 1, 2, 3]
    assert not step.training


def test_where_no_epoch_beats_the_start_the_start_is_left(problem):
    step, history = run(problem, [0.1, 0.9, 0.5], epochs=2)
    assert history.best == {"head": -1}
    assert fingerprint(step.model.head) == step.seen[0]


def test_a_phase_ends_when_patience_does(problem):
    """The best is epoch 1; two more are borne, and the third without a better one ends it."""
    _, history = run(problem, [1.0, 0.9, 0.5, 0.6, 0.6, 0.6, 0.1], epochs=9, patience=2)
    assert len(history.records) == 5
    assert history.best == {"head": 1}


def test_the_learning_rate_of_each_epoch_is_written_down(problem):
    _, history = run(problem, [1.0, 0.9, 0.8], epochs=2)
    settings = Settings(epochs=2, lr=0.01)
    assert [r["lr"] for r in history.records] == [settings.lr_at(0), settings.lr_at(1)]


def test_what_is_not_trained_asks_for_gradients_again_afterwards(problem):
    model = problem[0]
    before = {n: p.requires_grad for n, p in model.named_parameters()}
    run(problem, [1.0, 0.9], epochs=1)
    assert {n: p.requires_grad for n, p in model.named_parameters()} == before


def test_an_epoch_shows_every_row_once_in_the_order_of_the_generator(problem):
    model, latents, masks = problem
    numbers = (
        torch.arange(len(latents)) % 3
    )  # targets that say which row it is, as far as classes go
    step = Scripted(model, *preset("elbo")).script([1.0])
    optimizer = torch.optim.SGD(step.parameters_to_train(), lr=0.0)
    settings = Settings(epochs=1, lr=0.0, batch_size=16)
    told = type(latents)(latents.values, latents.available, latents.padding, numbers)
    torch.manual_seed(4)
    expected = numbers[torch.randperm(len(latents))]
    torch.manual_seed(4)
    fabric = Fabric(accelerator="cpu", devices=1)
    train_epoch(step, step, told, optimizer, settings, 0, fabric)
    assert [len(y) for y in step.shown] == [16, 16, 8]
    assert torch.equal(torch.cat(step.shown), expected)


def test_validation_measures_and_changes_nothing(problem):
    model, latents, masks = problem
    step = HeadStep(model, *preset("elbo+pcc"))
    before = fingerprint(model.head, model.reconstructor)
    found = evaluate(step, step, latents, masks)
    assert {"loss", "selection", "elbo", "rho/y"} <= set(found)
    assert found["selection"] == pytest.approx(-found["elbo"])
    assert found == evaluate(step, step, latents, masks)
    assert fingerprint(model.head, model.reconstructor) == before


def test_a_loss_that_is_not_finite_stops_and_leaves_the_best(problem):
    model, latents, masks = problem
    latents.target = latents.target.clone()
    step = Scripted(model, *preset("elbo")).script([1.0] * 3)
    before = fingerprint(model.head)
    step.forward = lambda *args: (
        HeadStep.forward(step, *args) * (float("nan") if step.training else 1.0)
    )
    fabric = Fabric(accelerator="cpu", devices=1)
    settings = Settings(epochs=2, lr=0.01)
    with pytest.raises(TrainingDiverged, match="'head' is nan in epoch 0.*smaller `lr`"):
        run_phase(step, latents, latents, masks, settings, fabric, History(), progress_bar=False)
    assert fingerprint(model.head) == before
