"""Latents that were encoded before, in the place of features; and rows under several masks."""

import pytest
import torch

import sure_pyro as sp
from sure_pyro.data import Batch, every_mask
from sure_pyro.models.latents import recorded_tokens
from tests.models.conftest import make_batch, make_model


class Counted(sp.backbones.TransformerBackbone):
    rows = 0

    def encode(self, batch):
        type(self).rows += len(batch)
        return super().encode(batch)


def model_and_batch(seed=0):
    batch = make_batch(seed=seed)
    torch.manual_seed(0)
    Counted.rows = 0
    backbone = Counted.for_data(batch, latent_size=8)
    return sp.SURE(backbone, reconstructor_options={"width": 16}).initialize(batch).eval(), batch


def encoded(model, batch):
    """The same rows as latents in the backbone's units."""
    raw = model.backbone.freeze().encode(batch)
    return Batch(
        {name: z.detach() for name, z in raw.items()}, batch.available, batch.target,
        task=batch.task, class_names=batch.class_names, encoded=True,
    )  # fmt: skip


def test_a_model_takes_latents_like_features():
    model, batch = model_and_batch()
    expected = model.predict(batch)
    prediction = model.predict(encoded(model, batch))
    torch.testing.assert_close(prediction.mean, expected.mean)
    torch.testing.assert_close(prediction.total, expected.total)


def test_a_model_is_initialised_and_fitted_on_latents_as_on_features():
    model, batch = model_and_batch()
    latents = encoded(model, batch)
    histories = []
    for data in (batch, latents):
        torch.manual_seed(0)
        backbone = Counted.for_data(batch, latent_size=8).freeze()
        backbone.load_state_dict(model.backbone.state_dict())
        other = sp.SURE(backbone, reconstructor_options={"width": 16})
        histories.append(sp.fit(other, data[:30], data[30:], epochs=2, progress_bar=False))
    for a, b in zip(histories[0].records, histories[1].records, strict=True):
        assert a.pop("phase") == b.pop("phase")
        assert a == pytest.approx(b, rel=1e-4, abs=1e-5)


def test_hiding_and_joining_keep_what_the_values_are():
    model, batch = model_and_batch()
    latents = encoded(model, batch)
    assert latents[:3].encoded
    assert sp.missing.hide_exactly(latents, 1, seed=0).encoded
    assert repr(latents).startswith("Latents of 40 rows")
    with pytest.raises(ValueError, match="content of batch 0 is latents, of batch 1 features"):
        Batch.cat([latents, batch])


def test_rows_under_several_masks_are_encoded_once():
    model, batch = model_and_batch()
    masked = every_mask(batch)
    expected = model.predict(masked.batch)
    Counted.rows = 0
    prediction = model.predict(masked)
    assert Counted.rows == len(batch)
    torch.testing.assert_close(prediction.mean, expected.mean)
    torch.testing.assert_close(prediction.total, expected.total)
    assert (prediction.mask_pattern == expected.mask_pattern).all()


def test_masks_within_sequences_reach_latents_that_were_encoded_whole():
    batch = make_batch(missing=False)
    gappy = sp.missing.within(batch, 0.4, seed=0, modalities=["audio"])
    model = make_model(batch, "transformer")
    whole = model.encode(batch)
    tokens = {n: recorded_tokens(gappy, n, z) for n, z in whole.values.items()}
    direct, lowered = model.encode(gappy), whole.hidden(tokens)
    for name in batch.modalities:
        assert torch.equal(direct.available[name], lowered.available[name])
        torch.testing.assert_close(direct.values[name], lowered.values[name])
