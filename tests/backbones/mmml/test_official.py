"""Agreement with what was recorded from the authors' implementation, at tiny width."""

import pytest
import torch
from safetensors.torch import load_file

from sure_pyro.backbones import Tokens
from sure_pyro.backbones.mmml import MMML
from sure_pyro.data import Batch
from tests.conftest import SHARED

RECORDINGS = sorted((SHARED / "golden").glob("mmml_*")) or [SHARED / "golden" / "absent"]
TOLERANCE = 1e-5
MODALITIES = ("text", "audio", "text_context", "audio_context")


@pytest.fixture(params=RECORDINGS, ids=lambda folder: folder.name, scope="module")
def recording(request):
    """Backbone with the recorded weights, and the recorded tensors."""
    folder = request.param
    if not folder.exists():
        pytest.skip("no recordings of MMML beside the project")
    backbone = MMML.from_official(folder / "checkpoint.pt", folder / "config.json").freeze()
    return backbone, load_file(folder / "io.safetensors")


def batch_of(backbone, io):
    features, padding = {}, {}
    for name in backbone.modalities:
        features[name] = io[f"input.{name}_inputs"]
        padding[name] = io[f"input.{name}_mask"] == 1
    return Batch(features, padding=padding)


def latents_of(backbone, io):
    def latent(name):
        if backbone.sizes.pooled_only:
            return io[f"latent.{name}.pooled"]
        return Tokens(io[f"latent.{name}.seq"], io[f"latent.{name}.mask"] == 1)

    return {name: latent(name) for name in backbone.modalities}


def test_the_encoders_give_the_recorded_latents(recording):
    backbone, io = recording
    for name, latent in backbone.encode(batch_of(backbone, io)).items():
        if backbone.sizes.pooled_only:
            close(latent, io[f"latent.{name}.pooled"])
        else:
            close(latent.values, io[f"latent.{name}.seq"])
            assert torch.equal(latent.exists, io[f"latent.{name}.mask"] == 1)
            close(backbone.network.pooled(name, latent), io[f"latent.{name}.pooled"])


def test_recorded_latents_give_the_recorded_outputs(recording):
    backbone, io = recording
    outputs = backbone.outputs(latents_of(backbone, io))
    for head, output in outputs.items():
        close(output, io[f"output.{head}"])
    assert list(outputs) == ["T", "A", "M"]


def test_the_readout_of_the_fusion_gives_the_recorded_output(recording):
    backbone, io = recording
    h = backbone.fuse(latents_of(backbone, io))
    close(backbone.readout(h.shape[-1])(h), io["output.M"])


def test_features_give_the_recorded_outputs(recording):
    backbone, io = recording
    for head, output in backbone(batch_of(backbone, io)).items():
        close(output, io[f"output.{head}"])


def close(x, recorded):
    torch.testing.assert_close(x, recorded, rtol=0, atol=TOLERANCE)
