"""What the pretrained model says by itself when missing latents are filled: the baselines."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.equations import response
from sure_pyro.models.latents import Latents
from sure_pyro.models.parts import check_choice

if TYPE_CHECKING:
    from sure_pyro.models.sure import SURE

FILLS = ("zero", "mean", "reconstruction")


def pretrained_output(model: SURE, latents: Latents, fill: str) -> Float[Tensor, "B C"]:
    """Outputs of the backbone's own readout; see `SURE.pretrained`."""
    check_choice("fill", fill, FILLS)
    readout = model.backbone.readout(model.head.mean.in_features)
    if readout is None:
        raise ValueError("The backbone names no `readout`, so it has no outputs of its own.")
    loc = {name: torch.zeros_like(z) for name, z in latents.values.items()}  # the mean is 0
    if fill == "zero":
        loc = model.space.standardize(loc)
    elif fill == "reconstruction":
        loc = {n: r.loc for n, r in model.reconstruct(latents, latents.available).items()}
    zt = model.fill(latents, latents.available, loc)
    omega = partial(model.space.fuse, exists=latents.exists(latents.available))
    return response(readout.to(model.space.like), omega, zt)
