"""All variants beside a second implementation, written from the published description."""

import pytest
import torch

from sure_pyro.backbones.mmml.config import OFFICIAL_NAMES
from tests.backbones.mmml.conftest import make, make_batch
from tests.backbones.mmml.reference import Reference


@pytest.mark.parametrize("name", OFFICIAL_NAMES)
def test_outputs_agree_with_plain_algebra(name):
    backbone = make(OFFICIAL_NAMES[name])
    batch = make_batch(backbone)
    outputs = backbone(batch)
    reference = Reference(backbone.network, name, backbone.sizes.num_heads)
    inputs = {}
    for key in backbone.modalities:
        x, mask = batch.features[key], batch.padding[key].long()
        inputs[key] = (x.masked_fill(mask == 0, 1) if key.startswith("text") else x, mask)
    for head, y in reference(inputs).items():
        torch.testing.assert_close(outputs[head], y, rtol=0, atol=1e-5)
        assert outputs[head].shape == (3, 1)


def test_encode_then_fuse_is_the_forward_pass(backbone):
    batch = make_batch(backbone)
    latents = backbone.encode(batch)
    h = backbone.fuse(latents)
    y = backbone(batch)["M"]
    torch.testing.assert_close(backbone.readout(h.shape[-1])(h), y, rtol=0, atol=1e-6)
    assert y.std() > 1e-4  # not a constant


def test_a_pooled_latent_follows_from_the_sequence():
    backbone = make("cross_modal_v1")
    batch = make_batch(backbone)
    tokens = backbone.encode(batch)
    pooled = make("concatenation").encode(batch)  # the same seed: the same encoders
    for name in tokens:
        assert torch.equal(backbone.network.pooled(name, tokens[name]), pooled[name])
