"""The baselines: the pretrained model on filled latents."""

import pytest
import torch

import sure_pyro as sp
from tests.models.conftest import make_batch, make_model


def readout_of(model, zt, latents):
    h = model.space.fuse(zt, latents.exists(latents.available))
    return model.backbone.readout(model.head.mean.in_features)(h)


def test_missing_latents_are_filled_as_the_name_says():
    batch = make_batch()
    model = make_model(batch)
    latents = model.encode(batch)
    missing = latents.missing(latents.available)
    r = model.reconstruct(latents, latents.available)
    fills = {
        "mean": {n: torch.zeros_like(z) for n, z in latents.values.items()},
        "zero": {n: -model.space.moments(n)[0] / model.space.moments(n)[1] for n in r},
        "reconstruction": {n: x.loc for n, x in r.items()},
    }
    for fill, values in fills.items():
        zt = {
            n: torch.where(missing[n][..., None], values[n], z) for n, z in latents.values.items()
        }
        with torch.no_grad():
            expected = readout_of(model, zt, latents)
        torch.testing.assert_close(model.pretrained(batch, fill), expected)


def test_complete_rows_do_not_depend_on_the_fill_and_others_do():
    batch = make_batch()
    model = make_model(batch)
    zero, mean, filled = (model.pretrained(batch, f) for f in ("zero", "mean", "reconstruction"))
    complete = batch.available.all(-1)
    assert torch.equal(zero[complete], mean[complete])
    assert torch.equal(zero[complete], filled[complete])
    assert not torch.equal(zero[~complete], mean[~complete])
    assert not torch.equal(mean[~complete], filled[~complete])


def test_a_model_in_training_mode_answers_in_evaluation_mode_and_stays_as_it_is():
    batch = make_batch()
    model = make_model(batch, reconstructor_options={"width": 16, "dropout": 0.5})
    expected = model.pretrained(batch, "reconstruction")
    model.train()
    assert torch.equal(model.pretrained(batch, "reconstruction"), expected)
    assert model.reconstructor.training


def test_errors_say_what_is_wrong():
    batch = make_batch()
    model = make_model(batch)
    with pytest.raises(ValueError, match=r"`fill` must be one of \['zero', 'mean', 'reconstr"):
        model.pretrained(batch, "noise")
    with pytest.raises(ValueError, match="no trainable parts yet"):
        sp.SURE(model.backbone).pretrained(batch)
    model.backbone.readout = lambda width: None
    with pytest.raises(ValueError, match="names no `readout`, so it has no outputs of its own"):
        model.pretrained(batch)
