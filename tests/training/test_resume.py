"""Checkpoints are resumed as what they belong to, and refused as anything else, in words."""

import shutil

import pytest
import torch
from lightning_fabric import Fabric
from safetensors import safe_open
from safetensors.torch import save_file

import sure_pyro as sp
from sure_pyro.objectives import StudentTNLL
from sure_pyro.training import Settings, weights
from sure_pyro.training.plan import DEFAULTS
from tests.training.conftest import fingerprint, fitted_parts, rows, small_model

TRAIN, VALIDATION = rows(0), rows(1)


def fit(model=None, train=TRAIN, validation=VALIDATION, objective="elbo+pcc", **options):
    model = small_model(train) if model is None else model
    options = {"epochs": 2, "batch_size": 20, "progress_bar": False, **options}
    return model, sp.fit(model, train, validation, objective, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Checkpoint of a finished run, the model and its history."""
    path = tmp_path_factory.mktemp("finished") / "run.ckpt"
    torch.set_num_threads(1)
    model, history = fit(checkpoint=path)
    return path, model, history


@pytest.fixture
def checkpoint(finished, tmp_path):
    return shutil.copy(finished[0], tmp_path / "run.ckpt")


def refused(checkpoint, text, **changes):
    with pytest.raises(ValueError, match=text) as error:
        fit(checkpoint=checkpoint, resume=True, **changes)
    return str(error.value)


# -- as itself ------------------------------------------------------------------------------------


def test_a_finished_run_comes_back_as_it_was(finished, checkpoint):
    _, straight, expected = finished
    model, history = fit(checkpoint=checkpoint, resume=True)
    assert fitted_parts(model) == fitted_parts(straight)
    assert (history.records, history.best) == (expected.records, expected.best)
    assert not history.interrupted


def test_the_interrupted_model_itself_can_go_on(finished, tmp_path, interrupted):
    path, model = tmp_path / "run.ckpt", small_model(TRAIN)
    assert interrupted(lambda: fit(model, checkpoint=path), 3)[1].interrupted
    _, history = fit(model, checkpoint=path, resume=True)
    assert fitted_parts(model) == fitted_parts(finished[1])
    assert history.records == finished[2].records


@pytest.mark.parametrize("after", [1, 3, 5])
def test_phases_of_one_name_are_told_apart(tmp_path, interrupted, after):
    phases = ("reconstruction", "head", "reconstruction")
    straight, expected = fit(phases=phases)
    path = tmp_path / "run.ckpt"
    interrupted(lambda: fit(phases=phases, checkpoint=path), after)
    model, history = fit(phases=phases, checkpoint=path, resume=True)
    assert history.records == expected.records
    assert fitted_parts(model) == fitted_parts(straight)


@pytest.mark.parametrize("kind", ["mean-field", "ensemble", "laplace"])
def test_a_guide_is_fitted_anew_to_the_same_numbers(tmp_path, monkeypatch, kind):
    path = tmp_path / "run.ckpt"
    options = {"guide": kind, "checkpoint": path, "epochs": 1}
    straight, expected = fit(**options)
    with monkeypatch.context() as patch:
        patch.setattr(weights, "learn", _stop)
        stopped, history = fit(**options, resume=True)
    assert history.interrupted
    assert stopped.weights is None
    model, history = fit(**options, resume=True)
    assert history.records == expected.records
    a, b = model.weights.tensors(), straight.weights.tensors()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def _stop(*args):
    raise KeyboardInterrupt


def test_one_objective_may_be_spelled_in_two_ways(finished, checkpoint):
    objective = (sp.CorrelationELBO(0.25, statistic="pearson"), lambda: sp.objectives.Unchanged())
    model, _ = fit(objective=objective, checkpoint=checkpoint, resume=True)
    assert fitted_parts(model) == fitted_parts(finished[1])


def test_a_handler_is_known_by_what_it_makes_and_not_by_where_it_stands(tmp_path):
    path = tmp_path / "run.ckpt"
    first, _ = fit(objective=(sp.CorrelationELBO(0.5), lambda: StudentTNLL(3.0)), checkpoint=path)
    again = (sp.CorrelationELBO(0.5), lambda: StudentTNLL(df=3.0))
    model, _ = fit(objective=again, checkpoint=path, resume=True)
    assert fitted_parts(model) == fitted_parts(first)
    other = (sp.CorrelationELBO(0.5), lambda: StudentTNLL(df=4.0))
    refused(path, r"objective: score: df 3.0, now 4.0", objective=other)


def test_without_a_file_it_starts_anew(finished, tmp_path):
    model, _ = fit(checkpoint=tmp_path / "folder" / "run.ckpt", resume=True)
    assert fitted_parts(model) == fitted_parts(finished[1])


# -- with more epochs -----------------------------------------------------------------------------


def test_more_epochs_take_up_every_phase_where_it_stood(finished, checkpoint):
    """The first goes on from its last epoch; the second, which rested on it, is done anew."""
    model, history = fit(checkpoint=checkpoint, resume=True, epochs=4)
    first = history.phase("reconstruction")
    assert list(first.index) == [0, 1, 2, 3]
    assert history.records[:2] == finished[2].records[:2]
    new = Settings(4, DEFAULTS["reconstruction"].lr)
    assert first["lr"].tolist()[2:] == [new.lr_at(2), new.lr_at(3)]
    assert list(history.phase("head").index) == [0, 1, 2, 3]
    assert set(history.best) == {"reconstruction", "head"}
    assert fingerprint(model.head) != fingerprint(finished[1].head)
    again, same = fit(checkpoint=checkpoint, resume=True, epochs=4)
    assert same.records == history.records
    assert fitted_parts(again) == fitted_parts(model)


def test_more_epochs_begin_from_the_last_weights_and_not_from_the_best(tmp_path):
    """At a rate of zero weights stand still, so the selection loss of all epochs is one number."""
    path, options = tmp_path / "run.ckpt", {"phases": ("reconstruction",), "lr": 0.0}
    fit(checkpoint=path, **options)
    model, history = fit(checkpoint=path, resume=True, epochs=5, **options)
    chosen = history.phase("reconstruction")["validation/selection"]
    assert len(chosen) == 5
    assert chosen.nunique() == 1
    assert model.predict(VALIDATION).mean.isfinite().all()


def test_a_phase_that_ended_for_want_of_progress_gets_no_more(tmp_path):
    path, options = tmp_path / "run.ckpt", {"phases": ("head",), "lr": 0.0}
    _, first = fit(checkpoint=path, epochs=30, **options)
    assert len(first.records) == DEFAULTS["head"].patience + 1
    _, again = fit(checkpoint=path, resume=True, epochs=60, **options)
    assert again.records == first.records


def test_an_interrupted_run_may_be_given_another_number_of_epochs(tmp_path, interrupted):
    path = tmp_path / "run.ckpt"
    interrupted(lambda: fit(checkpoint=path, epochs=5), 2)
    _, history = fit(checkpoint=path, resume=True, epochs=3)
    assert [len(history.phase(name)) for name in ("reconstruction", "head")] == [3, 3]


def test_fewer_epochs_than_done_are_refused(checkpoint):
    refused(
        checkpoint, r"has done \{'reconstruction': 2, 'head': 2\} epochs, .*'head': 1", epochs=1
    )


# -- as something else ----------------------------------------------------------------------------


def changed(batch, name="image", **fields):
    """A batch of which one number differs."""
    features = {n: x.clone() for n, x in batch.features.items()}
    i = batch.modalities.index(name)
    row = int(batch.available[:, i].nonzero()[0])
    features[name][row, 0] += 1e-3
    return batch.replace(features=features)


def hidden(batch):
    """A batch in which one more modality is missing, of a row that has two."""
    available = batch.available.clone()
    row = int((available.sum(1) > 1).nonzero()[0])
    available[row, int(available[row].nonzero()[0])] = False
    return batch.replace(available=available)


def relabelled(batch):
    target = batch.target.clone()
    target[0] = (target[0] + 1) % len(batch.class_names)
    return batch.replace(target=target)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"objective": "elbo"}, r"objective 'elbo\+pcc', now 'elbo'"),
        ({"objective": "sure"}, r"objective 'elbo\+pcc', now 'sure'"),
        ({"weight": 0.5}, r"objective: weight 0.25, now 0.5"),
        ({"objective": sp.CorrelationELBO(0.25, memory=9)}, r"now 'one of your own'"),
        ({"seed": 7}, r"seed 0, now 7"),
        ({"lr": 0.01}, r"reconstruction: lr 0.002, now 0.01.*head: lr 0.001, now 0.01"),
        ({"batch_size": 10}, r"batch_size 20, now 10"),
        ({"hiding": {"text": 3.0}}, r"hiding: text 1.0, now 3.0"),
        ({"guide": "laplace"}, r"guide None, now \{'kind': 'laplace'"),
        (
            {"fabric": Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")},
            "precision '32-true', now 'bf16-mixed'",
        ),
        ({"phases": ("reconstruction",)}, r"phases \['reconstruction', 'head'\], now"),
        ({"train": changed(TRAIN)}, r"train: other values of 'image'\."),
        ({"train": changed(TRAIN, "text")}, r"train: other values of 'text'\."),
        ({"train": hidden(TRAIN)}, r"train: .*other `available`"),
        ({"train": relabelled(TRAIN)}, r"train: other targets"),
        ({"train": TRAIN[:30]}, r"train: rows 40, now 30\."),
        ({"train": TRAIN[torch.arange(39, -1, -1)]}, r"train: other values of"),
        ({"validation": changed(VALIDATION)}, r"run: validation: other values of 'image'\."),
    ],
)
def test_another_run_is_refused_with_what_differs(checkpoint, change, text):
    message = refused(checkpoint, text, **change)
    assert str(checkpoint) in message
    assert "start anew" in message


def test_every_difference_is_told(checkpoint):
    message = refused(checkpoint, "another run", objective="elbo", seed=7, train=changed(TRAIN))
    for part in ("objective 'elbo+pcc', now 'elbo'", "seed 0, now 7", "train: other values"):
        assert part in message


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (lambda: small_model(TRAIN, reconstructor="pairwise"), "reconstructor 'masked', now 'pair"),
        (
            lambda: sp.SURE(small_model(TRAIN).backbone, reconstructor_options={"width": 9}),
            r"reconstructor_options: width 8, now 9",
        ),
        (lambda: small_model(TRAIN, separate_scale=True), r"separate_scale False, now True"),
        (lambda: _moved(small_model(TRAIN)), r"run: backbone: other weights\."),
        (lambda: small_model(TRAIN).initialize(rows(5)), "the model was initialised on other rows"),
    ],
)
def test_another_model_is_refused(checkpoint, model, text):
    refused(checkpoint, text, model=model())


def _moved(model):
    with torch.no_grad():
        next(model.backbone.parameters()).view(-1)[0] += 1e-3
    return model


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.image = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh())
        self.text, self.audio = torch.nn.Linear(4, 4), torch.nn.Linear(3, 4)
        self.out = torch.nn.Linear(12, 3)

    def forward(self, features):
        parts = [getattr(self, name)(x) for name, x in features.items()]
        return self.out(torch.cat(parts, -1))


def test_a_network_that_is_cut_elsewhere_is_refused(tmp_path):
    generator = torch.Generator().manual_seed(0)
    x = {n: torch.randn(40, d, generator=generator) for n, d in (("image", 5), ("text", 4))}
    x["audio"] = torch.randn(40, 3, generator=generator)
    data = sp.from_arrays(x, torch.arange(40) % 3)

    def run(cut, **options):
        torch.manual_seed(0)
        latents = {"image": cut, "text": "text", "audio": "audio"}
        return fit(sp.SURE(sp.Backbone.wrap(Net(), latents)), data[:30], data[30:], **options)

    path = tmp_path / "run.ckpt"
    run("image", checkpoint=path, epochs=1)
    with pytest.raises(ValueError, match="backbone: the same weights give other latents"):
        run("image.0", checkpoint=path, epochs=1, resume=True)


def test_a_statistic_of_your_own_is_known_by_what_it_does(tmp_path):
    path = tmp_path / "run.ckpt"

    def objective(statistic):
        return sp.CorrelationELBO(0.25, statistic=statistic)

    fit(objective=objective(lambda u, e, mask: (u * e).mean().tanh()), checkpoint=path, epochs=1)
    same = objective(
        lambda u, e, mask: (u * e).mean().tanh()  # on a line of its own
    )
    fit(objective=same, checkpoint=path, epochs=1, resume=True)
    other = objective(lambda u, e, mask: (u * e).mean().sin())
    refused(path, "objective: statistic '<lambda>", objective=other, epochs=1)


# -- files that are none --------------------------------------------------------------------------


def test_a_file_that_is_cut_short_is_refused(checkpoint):
    whole = checkpoint.read_bytes()
    for size in (0, 7, len(whole) // 2, len(whole) - 1):
        checkpoint.write_bytes(whole[:size])
        assert "start anew" in refused(checkpoint, r"run.ckpt can not be read .* cut short")


def test_something_else_is_refused(checkpoint):
    checkpoint.write_text("lr: 0.001")
    refused(checkpoint, "run.ckpt can not be read")
    save_file({"x": torch.zeros(2)}, checkpoint)
    refused(checkpoint, "run.ckpt is no checkpoint")
    save_file({"x": torch.zeros(2)}, checkpoint, metadata={"format": "pt"})
    refused(checkpoint, "run.ckpt is no checkpoint")


def test_a_file_without_the_fields_is_refused(checkpoint):
    save_file({"model/0": torch.zeros(2)}, checkpoint, metadata={"progress": '{"phase": "head"}'})
    refused(checkpoint, "of another version of sure_pyro: it does not say to which run it belongs")


def test_doors(tmp_path):
    with pytest.raises(ValueError, match="`resume=True` needs the `checkpoint`"):
        fit(resume=True)
    with pytest.raises(ValueError, match="`checkpoint` must name a file; .* is a folder"):
        fit(checkpoint=tmp_path)


# -- beside each other ----------------------------------------------------------------------------


def test_neighbours_share_nothing(tmp_path, monkeypatch):
    from sure_pyro.training import checkpoint

    written, original = [], checkpoint.save_file

    def save(tensors, path, **options):
        written.append(path)
        return original(tensors, path, **options)

    monkeypatch.setattr(checkpoint, "save_file", save)
    names = ["lr0.001", "lr0.002", "a.ckpt", "a.tmp", "a"]
    for name in names:
        fit(checkpoint=tmp_path / name, epochs=1, phases=("head",))
    assert len(set(written)) == len(written) == len(names)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)
    for name in names:
        with safe_open(tmp_path / name, framework="pt") as file:
            assert "progress" in file.metadata()


def test_what_a_crash_left_behind_does_no_harm(finished, tmp_path, interrupted):
    path = tmp_path / "run.ckpt"
    for name in ("run.tmp", "run.ckpt.tmp", ".run.ckpt.tmp"):
        (tmp_path / name).write_bytes(b"half of a")
    interrupted(lambda: fit(checkpoint=path), 1)
    model, _ = fit(checkpoint=path, resume=True)
    assert fitted_parts(model) == fitted_parts(finished[1])
    assert (tmp_path / "run.tmp").read_bytes() == b"half of a"
