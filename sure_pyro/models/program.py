"""The probabilistic program p(z_target, y | z_visible), in two pieces that the phases share.

Visible latents are given. A latent that is hidden on purpose is observed (its truth is known and is
scored); a latent that is missing in the data is an unobserved sample site, through ``obs_mask``.
"""

from collections.abc import Mapping
from typing import Any, cast

import pyro
from pyro import poutine
from torch import BoolTensor, Tensor

from sure_pyro.models.heads import Head, Output
from sure_pyro.models.latents import Latents, Masks
from sure_pyro.models.reconstructor import LocScale


def sample_latents(
    latents: Latents, visible: Masks, reconstruction: Mapping[str, LocScale]
) -> dict[str, Tensor]:
    """Sites ``z_<modality>``: z_i | z_v ~ Normal(mu_i, sigma_i^2), equation 2.

    Rows run along dimension -2 and tokens along -1 (one token for a vector). What is visible, and
    padding, is masked out: it is given, not random.

    Returns
    -------
    dict of Tensor, shapes ``(B, L_i, D_i)``
        Visible latents as they are, hidden ones as observed, missing ones as drawn.
    """
    missing = latents.missing(visible)
    rows = pyro.plate("rows", len(latents), dim=-2)
    drawn = {}
    for name, r in reconstruction.items():
        z, available = latents.values[name], latents.available[name]
        tokens = pyro.plate(f"tokens_{name}", r.loc.shape[1], dim=-1)
        with rows, tokens, poutine.mask(mask=cast(BoolTensor, missing[name])):
            # A batch that lacks nothing needs no latent variable: one site instead of two.
            obs_mask = None if bool(available.all()) else cast(BoolTensor, available)
            drawn[name] = pyro.sample(f"z_{name}", r.distribution(), obs=z, obs_mask=obs_mask)
    return drawn


def sample_target(head: Head, output: Output, target: Tensor | None) -> Tensor:
    """Site ``y`` ~ Head(g(h)), equation 4, given total mean and variance (equation 8)."""
    infer: Any = {
        "uncertainty": output.variance.mean(-1)
    }  # (B,): what the correlation objective trains
    obs = None if target is None else head.observed(target)
    fn: Any = head.distribution(output)
    with pyro.plate("targets", output.mean.shape[0], dim=-1):
        return pyro.sample("y", fn, obs=obs, infer=infer)
