"""The reconstructor in closed form: exact where latents are Gaussian, and part of SURE."""

import pytest
import torch

import sure_pyro as sp
from sure_pyro.models import GaussianReconstructor, Latents, gaussian
from sure_pyro.models.reconstructor import SCALE_FLOOR
from tests.models.conftest import make_batch

SHAPES = {"image": (1, 4), "audio": (3, 2), "text": (1, 2)}


def latents(B=400, shapes=SHAPES, seed=0, dtype=torch.float32, gaps=False):
    """Latents that are linear in three common numbers, with noise."""
    g = torch.Generator().manual_seed(seed)
    masks = torch.Generator().manual_seed(seed)
    common = torch.randn(B, 3, generator=g, dtype=dtype)
    values, available = {}, {}
    for name, (L, D) in shapes.items():
        W = torch.randn(3, L * D, generator=g, dtype=dtype)
        z = common @ W + 0.5 * torch.randn(B, L * D, generator=g, dtype=dtype)
        values[name] = ((z - z.mean(0)) / z.std(0)).unflatten(1, (L, D))
        available[name] = torch.ones(B, L, dtype=torch.bool)
        if gaps:
            available[name] &= torch.rand(B, 1, generator=masks) < 0.8
            values[name] = values[name] * available[name][..., None]
    return Latents(values, available)


def some_visible(z, *names):
    return {n: torch.full_like(a, n in names) for n, a in z.available.items()}


def test_it_is_the_regression_on_what_is_visible():
    """With many rows the shrinkage vanishes, and least squares gives the same."""
    z = latents(B=20_000, dtype=torch.double)
    r = GaussianReconstructor(SHAPES).double()
    r.fit_closed_form(z)
    found = r(z.values, some_visible(z, "image", "audio"))["text"]
    x = torch.cat([z.values[n].flatten(1) for n in ("image", "audio")], 1)
    y = z.values["text"].flatten(1)
    fitted = x @ torch.linalg.lstsq(x, y).solution
    assert (found.loc.flatten(1) - fitted).abs().max() < 0.01
    spread = (y - fitted).square().mean(0).sqrt()
    torch.testing.assert_close(found.scale[0].flatten(), spread, rtol=0.01, atol=0)


def test_a_gap_in_a_sequence_is_filled_from_its_own_tokens_too():
    z = latents(B=5000)
    r = GaussianReconstructor(SHAPES)
    r.fit_closed_form(z)
    alone = some_visible(z)
    alone["audio"][:, :2] = True
    nothing = some_visible(z)
    error = [
        (r(z.values, v)["audio"].loc[:, 2] - z.values["audio"][:, 2]).square().mean()
        for v in (alone, nothing)
    ]
    assert error[0] < 0.7 * error[1]


def test_scales_of_what_is_visible_are_the_floor_and_grow_with_what_is_missing():
    z = latents()
    r = GaussianReconstructor(SHAPES)
    r.fit_closed_form(z)
    both, one, none = (
        r(z.values, some_visible(z, *names)) for names in (("image", "audio"), ("image",), ())
    )
    assert torch.equal(both["image"].scale, torch.full_like(both["image"].scale, SCALE_FLOOR))
    assert (both["text"].scale < one["text"].scale).all()
    assert (one["text"].scale < none["text"].scale).all()
    assert none["text"].loc.abs().max() < 1e-5


def test_rows_with_gaps_are_learnt_from():
    complete, gappy = latents(B=3000), latents(B=3000, gaps=True)
    found = []
    for z in (complete, gappy):
        r = GaussianReconstructor(SHAPES)
        r.fit_closed_form(z)
        found.append(r(complete.values, some_visible(complete, "audio"))["image"].loc)
    error = [(loc - complete.values["image"]).square().mean() for loc in found]
    assert error[1] < 1.02 * error[0]


def test_wide_latents_go_through_their_principal_components(monkeypatch):
    monkeypatch.setattr(gaussian, "MOST_ENTRIES", 10)
    z = latents(B=4000)
    wide = GaussianReconstructor(SHAPES)
    assert all(isinstance(c, gaussian.Components) for c in wide.coordinates)
    wide.fit_closed_form(z)
    monkeypatch.setattr(gaussian, "MOST_ENTRIES", 1000)
    narrow = GaussianReconstructor(SHAPES)
    narrow.fit_closed_form(z)
    visible = some_visible(z, "image")
    a, b = wide(z.values, visible), narrow(z.values, visible)
    for name in ("audio", "text"):  # as many components as entries: a rotation
        torch.testing.assert_close(a[name].loc, b[name].loc, atol=1e-3, rtol=0)
        torch.testing.assert_close(a[name].scale, b[name].scale, atol=1e-3, rtol=0)


def test_fewer_components_than_entries_leave_the_rest_as_variance(monkeypatch):
    """Of all entries together: what they leave is orthogonal to what they hold."""
    monkeypatch.setattr(gaussian, "MOST_ENTRIES", 10)
    monkeypatch.setattr(gaussian, "COMPONENTS", 2)
    z = latents(B=4000)
    r = GaussianReconstructor(SHAPES)
    r.fit_closed_form(z)
    visible = some_visible(z, "image")
    visible["audio"][:, 0] = True  # a part of a sequence counts as hidden
    found = r(z.values, visible)["audio"]
    error = (found.loc - z.values["audio"]).square().mean()
    torch.testing.assert_close(found.scale[0].square().mean(), error, rtol=0.05, atol=0)


@pytest.mark.parametrize("stored", [float("nan"), 1e30])
def test_what_is_stored_under_invisible_tokens_changes_nothing(stored):
    z = latents()
    r = GaussianReconstructor(SHAPES)
    r.fit_closed_form(z)
    visible = some_visible(z, "image")
    garbage = {
        n: torch.where(visible[n][..., None], x, torch.full_like(x, stored))
        for n, x in z.values.items()
    }
    expected, found = r(z.values, visible), r(garbage, visible)
    assert all(torch.equal(found[n].loc, expected[n].loc) for n in SHAPES)


def test_conditionals_are_kept_and_forgotten_when_fitted_anew():
    z, other = latents(), latents(seed=1)
    r = GaussianReconstructor(SHAPES)
    r.fit_closed_form(z)
    visible = some_visible(z, "image")
    first = r(z.values, visible)["text"].loc
    assert len(r.kept) == 1
    assert torch.equal(r(z.values, visible)["text"].loc, first)
    r.fit_closed_form(other)
    assert not torch.equal(r(z.values, visible)["text"].loc, first)


def test_fit_skips_what_it_would_train_and_a_saved_model_predicts_the_same(tmp_path):
    train, validation, test = (make_batch(B=60, seed=s, missing=False) for s in range(3))
    backbone = sp.MLPBackbone.for_data(train, latent_size=4, seed=0)
    model = sp.SURE(backbone, reconstructor="gaussian")
    history = sp.fit(model, train, validation, epochs=2, progress_bar=False)
    assert list(history.best) == ["head"]
    gappy = sp.missing.hide_exactly(test, 1, seed=0)
    prediction = model.predict(gappy, "both", num_samples=200)
    assert all((v >= 0).all() for n, v in prediction.variance.items())
    model.save(tmp_path)
    again = sp.SURE.load(tmp_path, backbone=backbone).predict(gappy, "both", num_samples=200)
    assert torch.equal(again.mean, prediction.mean)
    assert torch.equal(again.total, prediction.total)


@pytest.mark.parametrize("objective", ["faithful:elbo+pcc", "elbo+pcc"])
def test_every_objective_trains_its_head(objective):
    train = make_batch(B=60, missing=False)
    model = sp.SURE(sp.MLPBackbone.for_data(train, latent_size=4), reconstructor="gaussian")
    history = sp.fit(model, train, train, objective, epochs=1, progress_bar=False)
    assert list(history.best) == ["head"]


def test_a_guide_over_its_weights_is_refused():
    train = make_batch(B=40, missing=False)
    model = sp.SURE(sp.MLPBackbone.for_data(train, latent_size=4), reconstructor="gaussian")
    guide = sp.guides.MeanFieldGuide(over=("reconstructor",))
    with pytest.raises(ValueError, match="'gaussian' reconstructor is a closed form without"):
        sp.fit(model, train, train, guide=guide, epochs=1, progress_bar=False)
