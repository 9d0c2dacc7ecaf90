"""What is asked of a fit, before anything is built."""

import pytest
import torch

import sure_pyro as sp
from sure_pyro.objectives.presets import DEFAULT_WEIGHT, preset
from sure_pyro.training import Settings
from sure_pyro.training.plan import (
    DEFAULTS,
    LARGEST_BATCH,
    SMALLEST_BATCH,
    STEPS,
    Plan,
    budgeted,
    given,
)
from tests.models.conftest import make_batch


def plan(objective="elbo+pcc", phases=("reconstruction", "head"), **changes):
    return Plan(objective, None, phases, None, changes)


def model(**options):
    train = make_batch(B=40, missing=False)
    return sp.SURE(sp.MLPBackbone.for_data(train, latent_size=4), **options).initialize(train)


@pytest.mark.parametrize("rows", [3, 100, 257, 1000, 5000, 1_000_000])
def test_a_budget_in_steps_follows_the_rows(rows):
    settings = budgeted(DEFAULTS["location"], 1500, rows)
    steps = settings.epochs * -(-rows // settings.batch_size)
    assert SMALLEST_BATCH <= settings.batch_size <= LARGEST_BATCH
    assert settings.epochs == 1 or 1500 <= steps < 1500 + -(-rows // settings.batch_size)
    assert settings.lr == DEFAULTS["location"].lr


def test_ten_times_the_rows_take_the_same_steps_of_at_most_eight_times_the_rows():
    few, many = (budgeted(DEFAULTS["location"], 1500, n) for n in (1000, 10_000))
    assert (few.batch_size, many.batch_size) == (64, 256)
    assert many.epochs * -(-10_000 // many.batch_size) < 1.05 * 1500


def test_the_default_trains_halves_on_its_budget_and_changes_win():
    wanted = plan("default", epochs=3)
    assert wanted.reconstructor == "stacked"
    phases = wanted.phases_for(model(reconstructor="stacked"))
    assert phases == ("location", "scale", "head")
    settings = wanted.settings_of(phases, 1000)
    assert {s.epochs for s in settings.values()} == {3}
    assert set(STEPS) == set(phases)
    assert settings["scale"].batch_size == 64
    assert plan().settings_of(("head",), 1000) == {"head": DEFAULTS["head"]}


def test_the_default_weighs_the_correlation_less():
    assert preset("default")[0].weight == 0.03
    assert preset("default", 0.5)[0].weight == 0.5
    assert preset("elbo+pcc")[0].weight == DEFAULT_WEIGHT
    assert plan("default").make_objective()[0].weight == 0.03


@pytest.mark.parametrize("reconstructor", ["masked", "pairwise"])
def test_the_default_on_another_reconstructor_trains_two_of_them(reconstructor):
    train = make_batch(B=40, missing=False)
    other = sp.SURE(sp.MLPBackbone.for_data(train, latent_size=4), reconstructor)
    history = sp.fit(other, train, train, "default", epochs=1, progress_bar=False)
    assert list(history.best) == ["location", "scale", "head"]
    assert other.settings["separate_scale"]


def test_halves_of_a_model_that_has_none_are_refused():
    with pytest.raises(
        ValueError, match=r"'default' trains.*networks of their own.*'masked'.*separate_scale=True"
    ):
        plan("default").phases_for(model())


def test_given_leaves_out_none():
    assert given(a=1, b=None, c=0) == {"a": 1, "c": 0}
    assert Settings(epochs=1, lr=0.1).lr_at(0) == 0.1


def test_a_fit_by_default_stacks_and_comes_back_from_its_files(tmp_path):
    train, validation, test = (make_batch(B=60, seed=s, missing=False) for s in range(3))
    backbone = sp.MLPBackbone.for_data(train, latent_size=4, seed=0)
    fitted = sp.SURE(backbone)
    assert "not fitted yet" in repr(fitted)
    sp.fit(fitted, train, validation, "default", epochs=3, progress_bar=False)
    assert fitted.settings["reconstructor"] == "stacked"
    location = fitted.reconstructor.location
    assert bool(location.stacked)
    assert (location.shares >= 0).all()
    assert (location.shares.sum(1) <= 1 + 1e-6).all()
    assert (fitted.reconstructor.factors != 1.0).any()
    gappy = sp.missing.hide_exactly(test, 1, seed=0)
    prediction = fitted.predict(gappy, "both", num_samples=100)
    fitted.save(tmp_path)
    again = sp.SURE.load(tmp_path, backbone=backbone).predict(gappy, "both", num_samples=100)
    assert torch.equal(again.total, prediction.total)
    assert torch.equal(again.mean, prediction.mean)


class _StoppedError(Exception):
    pass


def test_an_interrupted_fit_by_default_ends_where_a_whole_one_does(tmp_path, monkeypatch):
    """Stopped in its last half; the shares of the first are in the checkpoint."""
    from sure_pyro.training import loop

    train, validation = (make_batch(B=60, seed=s, missing=False) for s in range(2))

    def fit(path, resume=False):
        fitted = sp.SURE(sp.MLPBackbone.for_data(train, latent_size=4, seed=0))
        how = {"checkpoint": path, "resume": resume, "epochs": 3, "progress_bar": False}
        sp.fit(fitted, train, validation, "default", phases=("reconstruction",), **how)
        return fitted.reconstructor.state_dict()

    whole = fit(tmp_path / "whole")
    original, written = loop.save_checkpoint, []

    def stop(*arguments):
        original(*arguments)
        written.append(None)
        if len(written) == 4:  # three epochs of locations, one of scales
            raise _StoppedError

    monkeypatch.setattr(loop, "save_checkpoint", stop)
    with pytest.raises(_StoppedError):
        fit(tmp_path / "part")
    monkeypatch.setattr(loop, "save_checkpoint", original)
    resumed = fit(tmp_path / "part", resume=True)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
