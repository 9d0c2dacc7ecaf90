"""Outputs of the official implementation, recorded at a tiny width with random weights."""

import json

import pytest
import torch
from safetensors.torch import load_file

from sure_pyro.backbones import Tokens
from sure_pyro.backbones.mmbt import MMBT
from sure_pyro.backbones.mmbt.checkpoint import read_weights
from tests.conftest import SHARED

RECORDINGS = sorted((SHARED / "golden").glob("mmbt*"))
pytestmark = pytest.mark.skipif(not RECORDINGS, reason="no recordings beside the project")
CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(params=RECORDINGS, ids=lambda folder: folder.name)
def folder(request):
    return request.param


def load(folder, tap):
    """The recorded network; its image encoder is a stand-in that was left out."""
    config = json.loads((folder / "config.json").read_text())
    model = MMBT(
        config["num_labels"],
        config["num_image_embeds"],
        tap=tap,
        bert=config["bert"],
        blocks=[1, 1, 1, 1],
        width=config["image_hidden_size"] // 32,
        cls_id=config["cls_id"],
        sep_id=config["sep_id"],
    )
    keys = model.load_state_dict(read_weights(folder / "checkpoint.pt"), strict=False)
    assert keys.unexpected_keys == []
    assert all(key.startswith("enc.img_encoder.") for key in keys.missing_keys)
    return model.freeze(), load_file(folder / "io.safetensors")


def test_inputs_to_latents(folder):
    model, recorded = load(folder, "embed")
    ids, segment = recorded["input.txt"], recorded["input.segment"]
    projected, text = recorded["latent.proj.image.z"], model.enc.txt_embeddings
    embedded = model.enc.img_embeddings.embed(projected)
    block = model.image_block(embedded)
    torch.testing.assert_close(block, recorded["latent.embed.image.z"], **CLOSE)
    words = text(ids, token_type_ids=segment)
    torch.testing.assert_close(words, recorded["latent.embed.text.z"], **CLOSE)
    torch.testing.assert_close(text.word_embeddings(ids), recorded["latent.proj.text.z"], **CLOSE)


def test_latents_to_outputs(folder, tap):
    model, recorded = load(folder, tap)
    image = recorded[f"latent.{tap}.image.z"]
    image = image[:, 1:-1] if tap == "embed" else image  # [CLS] and [SEP] belong to the fusion
    exists = recorded[f"latent.{tap}.text.mask"].bool()
    text = Tokens(recorded[f"latent.{tap}.text.z"], exists)
    logits = model.readout(0)(model.fuse({"text": text, "image": image}))
    torch.testing.assert_close(logits, recorded["output.logits"], **CLOSE)
