"""Small data and models for the tests of this room."""

import pytest
import torch

import sure_pyro as sp


def make_batch(B=40, seed=0, missing=True, task="classification", dtype=torch.float32):
    """Three modalities that share a factor; a vector, a sequence and a narrow vector."""
    world = torch.Generator().manual_seed(99)  # the same for every seed: other rows, same law
    g = torch.Generator().manual_seed(seed)
    s = torch.randn(B, 3, generator=g)
    features = {
        "image": s @ torch.randn(3, 6, generator=world) + 0.3 * torch.randn(B, 6, generator=g),
        "audio": (s @ torch.randn(3, 8, generator=world)).reshape(B, 4, 2)
        + 0.3 * torch.randn(B, 4, 2, generator=g),
        "text": s[:, :2] + 0.3 * torch.randn(B, 2, generator=g),
    }
    features = {name: x.to(dtype) for name, x in features.items()}
    target = {
        "classification": (s[:, 0] > 0).long() + (s[:, 1] > 0).long(),
        "regression": (10 + 5 * s[:, 0] + 0.1 * s[:, 1]).to(dtype),
        "multilabel": (s > 0).to(dtype),
    }[task]
    available = torch.ones(B, 3, dtype=torch.bool)
    if missing:
        available[torch.arange(0, B, 3), 0] = False
        available[torch.arange(1, B, 4), 2] = False
    return sp.from_arrays(features, target, available=available, task=task)


@pytest.fixture
def batch():
    return make_batch()


@pytest.fixture
def model(batch):
    return make_model(batch)


def make_model(batch, backbone="mlp", **options):
    """An initialised model on an untrained backbone."""
    torch.manual_seed(0)
    kind = {"mlp": sp.MLPBackbone, "transformer": sp.backbones.TransformerBackbone}[backbone]
    options.setdefault("reconstructor_options", {"width": 16})
    net = kind.for_data(batch, latent_size=8)
    return sp.SURE(net, **options).initialize(batch).eval()
