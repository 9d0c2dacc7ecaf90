"""The stacked reconstructor: its halves, its shares and its factors."""

import pytest
import torch

from sure_pyro.models import GaussianReconstructor
from sure_pyro.models.stacked import StackedLocation, StackedReconstructor
from tests.models.test_gaussian import SHAPES, latents, some_visible


def fitted(B=400, **options):
    torch.manual_seed(0)
    r = StackedReconstructor(SHAPES, width=16, layers=1, **options)
    z = latents(B)
    r.fit_closed_form(z)
    return r.eval(), z


def test_until_it_is_stacked_the_network_has_the_whole_share():
    r, z = fitted()
    visible = some_visible(z, "image")
    features = r.location.features(z.values, visible)
    found = r(z.values, visible)
    for name, loc in r.location.of_network(features).items():
        torch.testing.assert_close(found[name].loc, loc)


def test_on_linear_gaussian_latents_the_closed_form_is_believed():
    r, z = fitted(1000)
    visible = some_visible(z, "image", "audio")
    r.location.stack(latents(1000, seed=0), visible)
    assert r.location.shares[2, 0] > 0.9  # the text; the network is not trained
    assert (r.location.shares[:2] == torch.tensor([0.0, 1.0])).all()  # nothing of them is hidden
    closed = GaussianReconstructor(SHAPES)
    closed.fit_closed_form(z)
    a, b = r.location.shares[2]
    expected = a * closed(z.values, visible)["text"].loc
    network = r.location.of_network(r.location.features(z.values, visible))["text"]
    torch.testing.assert_close(r(z.values, visible)["text"].loc, expected + b * network)


def test_what_shares_nothing_is_left_at_the_mean():
    """Independent latents: the error is that of the mean within rounding, not more."""
    g = torch.Generator().manual_seed(3)
    r, z = fitted()
    z = z[torch.arange(300)]
    for name, x in z.values.items():
        z.values[name] = torch.randn(x.shape, generator=g)
    visible = some_visible(z, "image")
    r.location.stack(z, visible)
    error = (r(z.values, visible)["text"].loc - z.values["text"]).square().mean()
    assert error <= z.values["text"].square().mean() + 1e-6


def test_no_gradient_of_the_scale_reaches_the_location():
    r, z = fitted()
    found = r.train()(z.values, some_visible(z, "image"))
    sum(x.scale.sum() for x in found.values()).backward()
    assert all(p.grad is None for p in r.location.parameters())
    assert all(p.grad is not None for p in r.spread.parameters())


def test_scales_start_at_the_closed_form_and_factors_set_them_right():
    """The mean of squared errors over predicted variances is 1 after it, but for the prior rows."""
    r, z = fitted(4000)
    visible = some_visible(z, "image")
    r.location.stack(z, visible)
    closed = r.location.closed(z.values, visible)
    torch.testing.assert_close(r(z.values, visible)["text"].scale, closed["text"].scale)
    r.fit_factors(z, visible)
    with torch.no_grad():
        found = r(z.values, visible)["text"]
    ratio = ((found.loc - z.values["text"]) / found.scale).square().mean()
    assert ratio == pytest.approx(1.0, abs=0.02)
    assert r.factors[0] == 1.0  # nothing of it was hidden


@pytest.mark.parametrize("stored", [float("nan"), 1e30])
def test_what_is_hidden_is_not_seen_when_it_is_stacked(stored):
    r, z = fitted()
    visible = some_visible(z, "image", "audio")
    r.location.stack(z, visible)
    found = r.location.shares.clone()
    z.values["text"] = torch.where(torch.rand(400, 1, 1) < 0.5, z.values["text"], stored)
    shown = r(z.values, visible)
    assert all(x.loc.isfinite().all() for x in shown.values())
    assert found.isfinite().all()


def test_a_location_alone_is_a_reconstructor():
    torch.manual_seed(0)
    z = latents()
    location = StackedLocation(SHAPES, width=8, layers=1).eval()
    location.fit_closed_form(z)
    for name, x in location(z.values, some_visible(z, "image")).items():
        assert x.loc.shape == x.scale.shape == z.values[name].shape
