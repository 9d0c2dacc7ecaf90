"""Small models of transformers with random weights, and rows for them."""

import pytest
import torch

from sure_pyro.data import Batch

transformers = pytest.importorskip("transformers")

BEGIN, END, VOCABULARY = 58, 59, 60
WIDE = {"initializer_range": 0.3}  # of weights, so that inputs make a difference
BASE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
SIZES = {**BASE, "intermediate_size": 32, **WIDE}
TEXT = {
    **SIZES, "vocab_size": VOCABULARY, "max_position_embeddings": 24,
    "bos_token_id": BEGIN, "eos_token_id": END, "pad_token_id": 1,
}  # fmt: skip
IMAGE = {**SIZES, "image_size": 16, "patch_size": 8}


def clip():
    """A dual encoder: each modality to a vector; the text is pooled where it ends."""
    config = transformers.CLIPConfig(
        text_config=TEXT, vision_config={**IMAGE, "initializer_factor": 10.0}, projection_dim=6,
        initializer_factor=10.0,
    )  # fmt: skip
    return seeded(transformers.CLIPModel, config)


def bridgetower():
    """A fusion encoder that reads three layers of each encoder; one head for the image, of 64."""
    width = {"hidden_size": 64, "num_hidden_layers": 3}
    text = {**TEXT, **width, "type_vocab_size": 1}
    config = transformers.BridgeTowerConfig(
        **{**SIZES, "hidden_size": 64}, text_config=text, vision_config={**IMAGE, **width}
    )
    return seeded(transformers.BridgeTowerForImageAndTextRetrieval, config)


def vilt():
    """A fusion encoder without encoders: patches, in random order, and tokens in one sequence."""
    text = {k: v for k, v in TEXT.items() if not k.endswith("token_id")}
    config = transformers.ViltConfig(**{**text, **IMAGE}, num_labels=3)
    return seeded(transformers.ViltForQuestionAnswering, config)


def blip():
    """A text encoder that attends to the image in every layer."""
    config = transformers.BlipConfig(
        text_config={**TEXT, "encoder_hidden_size": 16, "sep_token_id": END},
        vision_config=IMAGE, projection_dim=6, image_text_hidden_size=6,
    )  # fmt: skip
    return seeded(transformers.BlipForImageTextRetrieval, config)


MODELS = {"clip": clip, "bridgetower": bridgetower, "vilt": vilt, "blip": blip}


def seeded(cls, config):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cls(config).eval()


def rows(B=10, L=7, seed=0):
    """Texts of 3 to L tokens with their end, and pictures; classes that they tell."""
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(B) % 3
    length = torch.randint(3, L + 1, (B, 1), generator=g)
    length[0] = L
    exists = torch.arange(L) < length
    ids = torch.randint(2, 20, (B, L), generator=g) + 18 * y[:, None]
    ids[:, 0] = BEGIN
    ids = ids.scatter(1, length - 1, END)
    text = {"input_ids": torch.where(exists, ids, 1), "attention_mask": exists.long()}
    image = torch.randn(B, 3, 16, 16, generator=g) + (y - 1.0)[:, None, None, None]
    return {"text": text, "image": image}, y


def batch(**options):
    features, y = rows(**options)
    return Batch(features, target=y)


def outputs_of(model, features):
    with torch.no_grad():
        return model(**features["text"], pixel_values=features["image"])
