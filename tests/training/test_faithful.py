"""The two halves of the reconstruction phase: locations first, then scales around them."""

import pytest
import torch

from tests.training.test_fitting import fingerprint, fit, interrupt_after, make

FAITHFUL = "faithful:elbo+pcc"


def test_the_objective_builds_separate_networks_and_trains_them_in_turn():
    model, train, validation = make()
    history = fit(model, train, validation, objective=FAITHFUL, epochs=15)
    assert set(history.best) == {"location", "scale", "head"}
    for half in ("location", "scale"):
        selection = history.phase(half)["validation/selection"]
        assert selection.min() < selection.iloc[0]
    assert model.settings["separate_scale"]


def test_each_half_trains_its_own_network():
    model, train, validation = make(separate_scale=True)
    model.initialize(train)
    location, spread = (getattr(model.reconstructor, n) for n in ("location", "spread"))
    before = fingerprint(location), fingerprint(spread)
    fit(model, train, validation, objective=FAITHFUL, phases=("location",))
    assert fingerprint(spread) == before[1]
    assert (between := fingerprint(location)) != before[0]
    fit(model, train, validation, objective=FAITHFUL, phases=("scale",))
    assert fingerprint(location) == between
    assert fingerprint(spread) != before[1]


def test_locations_are_those_of_squared_error_alone_whatever_the_objective():
    prints = []
    for objective in (FAITHFUL, "faithful:elbo"):
        model, train, validation = make()
        fit(model, train, validation, objective=objective)
        prints.append(fingerprint(model.reconstructor.location))
    assert prints[0] == prints[1]


def test_the_locations_stay_in_evaluation_mode_while_the_scales_are_trained():
    from sure_pyro.objectives import preset
    from sure_pyro.training.steps import ScaleStep

    model, train, _ = make(separate_scale=True)
    model.initialize(train)
    ScaleStep(model, *preset("elbo")).train()
    assert model.reconstructor.spread.training
    assert not any(part.training for part in model.reconstructor.location.modules())


@pytest.mark.parametrize("after", [2, 4, 6])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, monkeypatch, after):
    """Four epochs of each half, interrupted in the first, between them, and in the second."""
    straight, train, validation = make()
    options = {"objective": FAITHFUL, "phases": ("reconstruction",), "epochs": 4}
    expected = fit(straight, train, validation, **options)
    path = tmp_path / "run.safetensors"
    with monkeypatch.context() as patch:
        interrupt_after(patch, after)
        fit(make()[0], train, validation, checkpoint=path, **options)
    model, *_ = make()
    history = fit(model, train, validation, checkpoint=path, resume=True, **options)
    assert history.records == expected.records
    assert fingerprint(model.reconstructor) == fingerprint(straight.reconstructor)


def test_joint_training_splits_the_gradients_instead():
    model, train, validation = make()
    history = fit(model, train, validation, objective=FAITHFUL, phases=("joint",))
    assert set(history.best) == {"joint"}
    assert all(p.isfinite().all() for p in model.reconstructor.parameters())


def test_a_model_with_one_network_is_refused():
    model, train, validation = make(separate_scale=False)
    with pytest.raises(ValueError, match=r"networks of their own.*separate_scale=True"):
        fit(model, train, validation, objective=FAITHFUL)


def test_scores_do_not_depend_on_the_dropout_of_the_locations():
    """The error that a scale learns is that of the locations as they will be used."""
    from sure_pyro.models import hide
    from sure_pyro.objectives import preset
    from sure_pyro.training.steps import ScaleStep

    model, train, _ = make(separate_scale=True)
    model.initialize(train)
    latents = model.encode(train)
    visible = hide(latents, torch.Generator().manual_seed(0))
    step = ScaleStep(model, *preset("elbo")).train()
    step(latents, visible)
    first = step.terms["mse/z_image"]
    step(latents, visible)
    assert torch.equal(first, step.terms["mse/z_image"])
