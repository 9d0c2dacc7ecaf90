"""Mean and spread of latents that lie on disk, in one pass over them."""

import torch
from torch import Tensor

from sure_pyro.data.store import LatentStore

BLOCK = 4096  # rows at a time


def moments_of(store: LatentStore) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and spread of every latent over the rows and tokens that were recorded, ``(D,)`` each.

    One pass, in float64; parts are merged by their counts, means and sums of squared deviations
    [Chan1983]_. A spread that is zero, or no more than rounding, is 1.

    References
    ----------
    .. [Chan1983] Chan, Golub, LeVeque, Algorithms for computing the sample variance. The American
       Statistician 37(3), 242-247.
    """
    merged: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
    for fields in store.blocks(BLOCK):
        for name, z in fields["values"].items():
            part = _sums(z[fields["available"][name]].double())
            merged[name] = _merged(merged[name], part) if name in merged else part
    found = {}
    for name, (n, mean, squares) in merged.items():
        spread = (squares / n.clamp_min(1)).sqrt()
        rounding = 4 * torch.finfo(store.dtypes[name]).eps * mean.abs()
        found[name] = mean, torch.where(spread > rounding, spread, torch.ones_like(spread))
    return found


def _sums(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean, and sum of squared deviations of the rows of ``(n, D)``."""
    n = torch.tensor(float(len(z)), dtype=torch.float64)
    mean = z.sum(0) / n.clamp_min(1)
    return n, mean, (z - mean).square().sum(0)


def _merged(a, b):
    n = a[0] + b[0]
    shift = b[1] - a[1]
    weight = b[0] / n.clamp_min(1)
    return n, a[1] + shift * weight, a[2] + b[2] + shift.square() * a[0] * weight
