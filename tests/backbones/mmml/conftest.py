"""Tiny backbones of all variants, and batches for them."""

import pytest
import torch

from sure_pyro.backbones.mmml import MMML
from sure_pyro.backbones.mmml.config import VARIANTS
from sure_pyro.data import Batch

L, T = 9, 2400  # tokens; samples, of which 7 frames are made
LENGTHS = {"text": [9, 4, 1], "audio": [2400, 1000, 1500]}


def make(variant, seed=0):
    """Tiny backbone whose output moves: head and class tokens as large as inputs."""
    backbone = MMML.tiny(variant, seed=seed)
    return backbone.freeze()


def make_batch(backbone, B=3, seed=1, **options):
    """Rows of different lengths; what is stored under the padding is noise."""
    generator = torch.Generator().manual_seed(seed)
    features, padding = {}, {}
    for name in backbone.modalities:
        kind = name.partition("_")[0]
        size = L if kind == "text" else T
        if kind == "text":  # ids below 99: the seam's check adds one
            features[name] = torch.randint(3, 99, (B, size), generator=generator)
        else:
            features[name] = torch.randn(B, size, generator=generator)
        lengths = torch.tensor(LENGTHS[kind]).repeat(B)[:B]
        padding[name] = torch.arange(size) < lengths[:, None]
    return Batch(features, padding=padding, **options)


@pytest.fixture(params=VARIANTS)
def backbone(request):
    """Backbone of every variant, frozen."""
    return make(request.param)
