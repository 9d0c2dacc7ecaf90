"""Networks in half and mixed precision, with and without autocast around everything."""

import contextlib

import pytest
import torch
from torch import Tensor, nn

import sure_pyro as sp
from sure_pyro.backbones.compare import close, rounding
from tests.models.conftest import make_batch

LATENTS = {"image": "image", "text": "text"}


class Casting(nn.Module):
    """Two towers and a readout, each in its own precision, that it converts to itself."""

    def __init__(self, towers: torch.dtype, readout: torch.dtype, skip: bool = False):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.image, self.text = nn.Linear(6, 4), nn.Linear(2, 4)
            self.readout = nn.Linear(8, 1)
        self.image.to(towers), self.text.to(towers), self.readout.to(readout)
        self.skip = skip

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        dtype = self.image.weight.dtype
        latents = self.image(image.to(dtype)), self.text(text.to(dtype))
        fused = torch.cat([z.tanh() for z in latents], -1)
        out = self.readout(fused.to(self.readout.weight.dtype))
        return out + image[:, :1] if self.skip else out


def autocast(on: bool):
    return torch.autocast("cpu", dtype=torch.bfloat16) if on else contextlib.nullcontext()


def rows():
    batch = make_batch(B=60, task="regression", missing=False)
    features = {name: batch.features[name] for name in LATENTS}
    with torch.no_grad():
        said = Casting(SINGLE, SINGLE)(**features)
    return sp.from_arrays(features, said + 0.1 * batch.features["audio"][:, 0, :1])


SINGLE, HALF = torch.float32, torch.bfloat16
KINDS = [(SINGLE, SINGLE, True), (HALF, SINGLE, False), (HALF, SINGLE, True), (HALF, HALF, False),
         (HALF, HALF, True)]  # fmt: skip


def calibrated(towers, readout, around):
    """From the cut to a calibrated prediction of rows with gaps, by both methods."""
    data = rows()
    gappy = sp.missing.mcar(data, rate=0.5, seed=0)
    with autocast(around):
        model = sp.SURE(sp.Backbone.wrap(Casting(towers, readout), LATENTS, readout="readout"))
        sp.fit(model, data, data, epochs=2, batch_size=20, progress_bar=False)
        prediction = sp.recalibrate(model, data, propagate="both").predict(gappy, "both")
        exported = sp.to_arviz(prediction, gappy, num_draws=8)
    assert exported.posterior_predictive["y"].dtype.kind == "f"
    return prediction


@pytest.fixture(scope="module")
def in_single_precision():
    return calibrated(SINGLE, SINGLE, False)


@pytest.mark.parametrize(("towers", "readout", "around"), KINDS)
def test_from_the_cut_to_a_calibrated_prediction(towers, readout, around, in_single_precision):
    """It stays within rounding of that of a network in single precision."""
    prediction, expected = calibrated(towers, readout, around), in_single_precision
    assert prediction.total.dtype == prediction.mean.dtype == torch.float32
    scale = expected.total.mean().sqrt()
    assert (prediction.mean - expected.mean).abs().max() < 0.05 * scale
    torch.testing.assert_close(prediction.total, expected.total, rtol=0.05, atol=0.0)


@pytest.mark.parametrize("around", [False, True])
def test_a_skip_connection_is_found_in_half_precision_too(around):
    model = sp.SURE(sp.Backbone.wrap(Casting(HALF, SINGLE, skip=True), LATENTS))
    with autocast(around), pytest.raises(ValueError, match="reads 'image' past the cut"):
        model.initialize(rows())


def test_what_can_not_calculate_in_another_precision_says_so():
    class Plain(Casting):
        def forward(self, image, text):
            return self.readout(torch.cat([self.image(image), self.text(text)], -1))

    model = sp.SURE(sp.Backbone.wrap(Plain(HALF, HALF), LATENTS))
    with pytest.raises(ValueError, match=r"float32, the backbone's parameters torch.bfloat16.*"
                       r"dtype=torch.bfloat16.*`.to\(torch.float32\)`"):  # fmt: skip
        model.initialize(rows())


def test_equal_up_to_rounding_is_wider_under_autocast_alone():
    a = torch.ones(3)
    assert close(a, a + 1e-6)
    assert not close(a, a + 1e-2)
    with autocast(True):
        assert close(a, a + 1e-2)
        assert not close(a, a + 0.2)
        assert rounding(a) == rounding(a.bfloat16())
    assert rounding(a) < rounding(a.bfloat16())
