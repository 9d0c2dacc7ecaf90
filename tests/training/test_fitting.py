import hashlib

import numpy as np
import pytest
import torch

import sure_pyro as sp
from sure_pyro.models import hide
from sure_pyro.training import Settings, TrainingDiverged, epoch, fitting, likelihoods, loop
from tests.models.conftest import make_batch

SMALL = {"width": 16, "dropout": 0.1}


def make(task="classification", **options):
    train, validation = make_batch(B=80, task=task), make_batch(B=40, seed=1, task=task)
    torch.manual_seed(0)
    model = sp.SURE(
        sp.MLPBackbone.for_data(train, latent_size=8, dropout=0.5),
        reconstructor_options=SMALL,
        **options,
    )
    return model, train, validation


def fit(model, train, validation, objective="elbo+pcc", **options):
    options = {"epochs": 3, "progress_bar": False, **options}
    return sp.fit(model, train, validation, objective, **options)


def fingerprint(module):
    """Hash of every byte of parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize("objective", ["sure", "elbo", "elbo+pcc"])
@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
def test_both_phases_lower_what_they_select_by(task, objective):
    model, train, validation = make(task)
    history = fit(model, train, validation, objective=objective, epochs=15)
    assert set(history.best) == {"reconstruction", "head"}
    for phase in history.best:
        selection = history.phase(phase)["validation/selection"]
        assert selection.min() < selection.iloc[0]
    assert not model.training


def test_frozen_backbone_is_unchanged_byte_for_byte():
    class WithBatchNorm(sp.MLPBackbone):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.norm = torch.nn.BatchNorm1d(64)

        def fuse(self, latents):
            return self.norm(super().fuse(latents))

    _, train, validation = make()
    backbone = WithBatchNorm.for_data(train)
    before = fingerprint(backbone)
    model = sp.SURE(backbone, reconstructor_options=SMALL)
    fit(model, train, validation, phases=("reconstruction", "head", "joint"))
    assert fingerprint(backbone) == before


def test_phases_train_only_their_part():
    model, train, validation = make()
    model.initialize(train)
    head = fingerprint(model.head)
    fit(model, train, validation, phases=("reconstruction",))
    assert fingerprint(model.head) == head
    reconstructor = fingerprint(model.reconstructor)
    fit(model, train, validation, phases=("head",))
    assert fingerprint(model.reconstructor) == reconstructor
    assert fingerprint(model.head) != head


def test_same_seed_same_model_and_the_global_generator_is_left_alone():
    prints = []
    for seed in (1, 1, 2):
        model, train, validation = make()
        before = torch.get_rng_state()
        fit(model, train, validation, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        prints.append(fingerprint(model.reconstructor) + fingerprint(model.head))
    assert prints[0] == prints[1]
    assert prints[0] != prints[2]


class Interruption(KeyboardInterrupt):
    pass


def interrupt_after(monkeypatch, epochs):
    """Raise a KeyboardInterrupt after so many epochs have been checkpointed."""
    done = []
    original = loop.save_checkpoint

    def save(*args, **kwargs):
        original(*args, **kwargs)
        done.append(1)
        if len(done) == epochs:
            raise Interruption

    monkeypatch.setattr(loop, "save_checkpoint", save)


@pytest.mark.parametrize("after", [2, 4, 6])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch, after):
    """Four epochs of each phase, interrupted in the first, between the two, and in the second."""
    straight, train, validation = make()
    expected = fit(straight, train, validation, epochs=4)
    path = tmp_path / "run.safetensors"
    model, *_ = make()
    with monkeypatch.context() as patch:
        interrupt_after(patch, after)
        stopped = fit(model, train, validation, epochs=4, checkpoint=path)
    assert stopped.interrupted
    model, *_ = make()  # a new process would start from here
    history = fit(model, train, validation, epochs=4, checkpoint=path, resume=True)
    assert history.records == expected.records
    assert history.best == expected.best
    assert fingerprint(model.reconstructor) == fingerprint(straight.reconstructor)
    assert fingerprint(model.head) == fingerprint(straight.head)


def test_the_memory_of_the_correlation_is_resumed_and_starts_empty(tmp_path, monkeypatch):
    objective = sp.CorrelationELBO(0.25, memory=50)
    straight, train, validation = make()
    options = {"phases": ("reconstruction",), "batch_size": 10, "epochs": 4}
    expected = fit(straight, train, validation, objective, **options)
    assert objective.memory.state()["z_image/u"].shape == (1, 50)
    model, *_ = make()
    path = tmp_path / "run.safetensors"
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        fit(model, train, validation, objective, checkpoint=path, **options)
    objective = sp.CorrelationELBO(0.25, memory=50)
    history = fit(model, train, validation, objective, checkpoint=path, resume=True, **options)
    assert history.records == expected.records
    assert fingerprint(model.reconstructor) == fingerprint(straight.reconstructor)


def test_a_phase_that_ended_by_patience_is_not_taken_up_again(tmp_path):
    model, train, validation = make()
    path = tmp_path / "run.safetensors"
    options = {"epochs": 60, "lr": 0.0, "phases": ("head",), "checkpoint": path}
    first = fit(model, train, validation, **options)
    assert len(first.records) < 60
    again = fit(model, train, validation, **options, resume=True)
    assert again.records == first.records


def test_an_interrupted_fit_keeps_the_best_weights(monkeypatch, tmp_path):
    model, train, validation = make()
    interrupt_after(monkeypatch, 2)
    history = fit(model, train, validation, epochs=50, checkpoint=tmp_path / "run.safetensors")
    assert history.interrupted
    assert len(history.records) == 2
    assert model.predict(validation).mean.isfinite().all()


@pytest.mark.filterwarnings("ignore:Encountered (NaN|inf)")
def test_a_diverging_loss_stops_with_the_last_good_weights():
    model, train, validation = make()
    with pytest.raises(
        TrainingDiverged, match=r"'reconstruction' is (nan|inf) in epoch .* smaller `lr`"
    ):
        fit(model, train, validation, lr=1e20, epochs=20)
    assert all(p.isfinite().all() for p in model.reconstructor.parameters())
    assert model.predict(validation).mean.isfinite().all()


def test_checkpoint_is_one_safetensors_file_and_nothing_is_left_beside_it(tmp_path):
    from safetensors import safe_open

    model, train, validation = make()
    fit(model, train, validation, checkpoint=tmp_path / "run.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["run.safetensors"]
    with safe_open(tmp_path / "run.safetensors", framework="pt") as file:
        assert "progress" in file.metadata()


def test_history_tells_the_quantities_by_site():
    model, train, validation = make()
    history = fit(model, train, validation)
    frame = history.phase("reconstruction")
    for column in (
        "train/elbo",
        "validation/loss",
        "validation/rho/z_image",
        "validation/mse/z_text",
    ):
        assert np.isfinite(frame[column]).all()
    assert "validation/rho/y" in history.phase("head")
    assert "epochs" in repr(history)
    assert "<table" in history._repr_html_()


def test_without_a_validation_part_one_is_held_out():
    model, train, _ = make()
    assert len(sp.fit(model, train, epochs=1, progress_bar=False).records) == 2


def test_a_batch_of_one_row_trains():
    model, train, validation = make()
    fit(model, train[:1], validation, epochs=1, phases=("reconstruction",))
    assert all(p.isfinite().all() for p in model.reconstructor.parameters())


def test_float64_stays_float64():
    train, validation = make_batch(dtype=torch.float64), make_batch(seed=1, dtype=torch.float64)
    model = sp.SURE(sp.MLPBackbone.for_data(train), reconstructor_options=SMALL)
    fit(model, train, validation, epochs=1)
    assert model.predict(validation, "both", num_samples=5).mean.dtype == torch.float64


def test_joint_training_sends_the_gradient_of_the_task_to_the_reconstructor():
    model, train, validation = make()
    model.initialize(train)
    from sure_pyro.objectives import preset
    from sure_pyro.training.steps import JointStep

    latents = model.encode(train)
    step = JointStep(model, *preset("elbo"))
    visible = hide(latents)
    y_only = {name: torch.zeros_like(a) for name, a in latents.available.items()}
    nothing_scored = type(latents)(latents.values, y_only, latents.padding, latents.target)
    seen = {name: v & False for name, v in visible.items()}
    step(nothing_scored, seen).backward()
    gradients = [p.grad for p in model.reconstructor.parameters() if p.grad is not None]
    assert max(g.abs().max() for g in gradients) > 0


def test_rows_with_a_single_modality_teach_nothing():
    model, train, validation = make()
    available = torch.zeros(80, 3, dtype=torch.bool)
    available[:, 0] = True
    lone = sp.from_arrays(train.features, train.target, available=available)
    with pytest.raises(ValueError, match="No row of `train` has two modalities"):
        fit(model, lone, validation)


def test_validation_must_be_of_the_same_kind():
    model, train, validation = make()
    other = sp.from_arrays(validation.features, validation.target, class_names=["x", "y", "z", "w"])
    with pytest.raises(ValueError, match=r"must have the class_names of `train`.*'w'"):
        fit(model, train, other)


def test_unknown_names_are_refused():
    model, train, validation = make()
    with pytest.raises(ValueError, match=r"`phases` must name phases of .*; got \('third',\)"):
        fit(model, train, validation, phases=("third",))
    with pytest.raises(
        ValueError, match="`objective` must be 'default', a CorrelationELBO, a score of"
    ):
        fit(model, train, validation, objective="mse")


def test_learning_rate_falls_to_zero_along_a_cosine():
    settings = Settings(epochs=10, lr=0.2)
    assert settings.lr_at(0) == 0.2
    assert settings.lr_at(5) == pytest.approx(0.1)
    assert settings.lr_at(10) == pytest.approx(0.0)


@pytest.mark.parametrize("name", ["elbo+pcc", "laplace+spearman", "crps", "pinball+kendall"])
def test_the_epoch_is_chosen_by_a_score_that_sees_the_variance(name):
    model, train, validation = make()
    frame = fit(model, train, validation, name).phase("reconstruction")
    np.testing.assert_allclose(frame["validation/selection"], -frame["validation/elbo"])


@pytest.mark.parametrize("name", ["sure", "sure+concordance"])
def test_the_epoch_is_chosen_by_the_whole_loss_where_the_score_is_blind_to_the_variance(name):
    model, train, validation = make()
    frame = fit(model, train, validation, name).phase("reconstruction")
    np.testing.assert_allclose(frame["validation/selection"], frame["validation/loss"])


def test_an_objective_may_come_with_a_handler_of_its_own():
    from sure_pyro.objectives import CorrelationELBO, StudentTNLL

    losses = []
    for df in (3.0, 30.0):
        model, train, validation = make()
        objective = (CorrelationELBO(0.0), lambda df=df: StudentTNLL(df))
        losses.append(fit(model, train, validation, objective, epochs=1).records[0])
    assert losses[0]["train/loss"] != losses[1]["train/loss"]


@pytest.mark.parametrize("guide", [None, "laplace"])
def test_hiding_reaches_training_validation_and_the_guide(monkeypatch, guide):
    asked = set()

    def spy(latents, generator=None, tokens=0.0, odds=None):
        asked.add((generator is None, str(odds)))
        return hide(latents, generator, tokens, odds)

    for module in (epoch, fitting, likelihoods):
        monkeypatch.setattr(module, "hide", spy)
    fit(*make(), hiding={"text": 3.0}, epochs=1, guide=guide)
    assert asked == {(True, "{'text': 3.0}"), (False, "{'text': 3.0}")}


def test_equal_odds_train_the_same_model():
    plain, equal = make(), make()
    fit(*plain, epochs=2)
    fit(*equal, epochs=2, hiding={"text": 1.0})
    assert fingerprint(plain[0].reconstructor) == fingerprint(equal[0].reconstructor)
    other = make()
    fit(*other, epochs=2, hiding={"text": 4.0})
    assert fingerprint(other[0].reconstructor) != fingerprint(equal[0].reconstructor)


def test_odds_of_an_unknown_modality_are_refused_before_anything_is_built():
    model, train, validation = make()
    with pytest.raises(ValueError, match="`hiding` must name modalities of"):
        fit(model, train, validation, hiding={"smell": 2.0})
    assert not model.initialized


# -- classes by name ------------------------------------------------------------------------------

WORDS = ("cat", "dog", "owl")


def named(batch, names):
    """The rows as a file with these classes would number them; the model's are `WORDS`."""
    kept = batch[torch.tensor([WORDS[k] in names for k in batch.target.tolist()])]
    target = torch.tensor([names.index(WORDS[k]) for k in kept.target.tolist()])
    return kept.replace(target=target, class_names=names)


@pytest.mark.parametrize("names", [("owl", "cat", "dog"), ("owl", "dog")])
def test_validation_may_number_its_classes_otherwise(names):
    model, train, validation = make()
    train = train.replace(class_names=WORDS)
    rows = validation[torch.tensor([WORDS[k] in names for k in validation.target.tolist()])]
    expected = fit(model, train, rows.replace(class_names=WORDS), epochs=2)
    again, *_ = make()
    history = fit(again, train, named(validation, names), epochs=2)
    assert history.records == expected.records
    assert fingerprint(again.head) == fingerprint(model.head)


def test_a_fitted_model_goes_on_with_rows_of_another_file():
    model, train, validation = make()
    train = train.replace(class_names=WORDS)
    fit(model, train, validation.replace(class_names=WORDS), epochs=1)
    before = {k: v.clone() for k, v in model.state_dict().items() if isinstance(v, torch.Tensor)}
    expected = fit(model, train, validation.replace(class_names=WORDS), epochs=1)
    model.load_state_dict(before, strict=False)
    order = ("owl", "cat", "dog")
    history = fit(model, named(train, order), named(validation, order), epochs=1)
    assert history.records == expected.records
    with pytest.raises(ValueError, match=r"`train` must have the class_names of the model"):
        fit(model, train.replace(class_names=("a", "b", "c")), validation)


def test_rows_without_targets_and_with_other_targets_are_refused():
    model, train, validation = make()
    without = validation.replace(target=None, task=None, class_names=None)
    with pytest.raises(ValueError, match="`validation` has no targets"):
        fit(model, train, without)
    with pytest.raises(ValueError, match="`train` has no targets"):
        fit(model, without, without)
    other = make_batch(B=40, task="regression")
    with pytest.raises(ValueError, match="`validation` must have the task of `train`, 'classif"):
        fit(model, train, other)
    assert not model.initialized
    fit(model, train, validation, epochs=1)
    fit(model, without, without, epochs=1, phases=("reconstruction",))  # asks for none
    with pytest.raises(ValueError, match="`train` has no targets"):
        fit(model, without, without, epochs=1, phases=("head",))


# -- half precision -------------------------------------------------------------------------------


@pytest.mark.parametrize("phases", [("reconstruction", "head"), ("joint",), ("joint/amortised",)])
@pytest.mark.parametrize("objective", ["elbo+pcc", "faithful:elbo+kendall"])
def test_a_fit_under_autocast_learns_what_it_learns_without(objective, phases):
    """Rounding moves the losses by 0.3 to 1.5 %; stale copies of the weights, by 6 to 19 %."""
    options = {"objective": objective, "phases": phases, "epochs": 6, "batch_size": 20, "lr": 5e-3}
    expected = fit(*make("regression"), **options)
    model, train, validation = make("regression")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        history = fit(model, train, validation, **options)
        prediction = model.predict(validation, "both", num_samples=5)
    for phase in expected.best:
        loss, wanted = (h.phase(phase)["train/loss"] for h in (history, expected))
        np.testing.assert_allclose(loss, wanted, rtol=0.03)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert prediction.mean.isfinite().all()
    assert prediction.total.isfinite().all()
    assert prediction.total.dtype == torch.float32


def test_autocast_is_as_it_was_after_a_fit():
    model, train, validation = make()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fit(model, train, validation, epochs=1)
        assert torch.is_autocast_cache_enabled()
        before = model.predict(validation).mean
        fit(model, train, validation, epochs=3, lr=1e-2)
        assert not torch.equal(model.predict(validation).mean, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
def test_a_backbone_in_half_precision_has_parts_in_single_precision_trained_on_it(task, dtype):
    model, train, validation = make(task)
    model = sp.SURE(model.backbone.to(dtype), reconstructor_options=SMALL)
    history = fit(model, train.to(dtype), validation.to(dtype), epochs=3)
    assert {p.dtype for p in model.head.parameters()} == {torch.float32}
    assert np.isfinite(history.to_dataframe()["validation/loss"]).all()
    prediction = model.predict(validation.to(dtype))
    assert prediction.mean.isfinite().all()
    table = sp.calibration_table(prediction, validation.to(dtype), repetitions=0)
    assert np.isfinite(table["value"]).all()


def test_a_mixed_precision_of_fabric_trains():
    from lightning_fabric import Fabric

    expected = fit(*make(), epochs=3)
    model, train, validation = make()
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    history = fit(model, train, validation, epochs=3, fabric=fabric)
    loss, wanted = (h.to_dataframe()["train/loss"] for h in (history, expected))
    np.testing.assert_allclose(loss, wanted, rtol=0.05)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_a_precision_that_converts_the_trained_parts_is_refused():
    from lightning_fabric import Fabric

    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-true")
    with pytest.raises(ValueError, match="`fabric` has the precision 'bf16-true'.*'bf16-mixed'"):
        fit(*make(), fabric=fabric)
