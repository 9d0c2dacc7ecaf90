"""Equal up to rounding, and rows with other features: what the proofs of a backbone are made of."""

import torch
from torch import Tensor

from sure_pyro.data import Batch
from sure_pyro.data.fields import each_field

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-5, torch.float16: 2e-2, torch.bfloat16: 5e-2}


def close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal up to rounding, in the precision that they have."""
    if not (a.is_floating_point() and b.is_floating_point()):
        return torch.equal(a, b)
    tolerance = max(rounding(a), rounding(b))
    a, b = a.double(), b.double()
    return bool(((a - b).abs() <= tolerance * (1 + b.abs().max())).all())


def rounding(x: Tensor) -> float:
    """How far apart two ways to the same values may be: under autocast as far as in half precision.

    There a sum may have been made in half precision although its result is not.
    """
    device = x.device.type
    if not torch.is_autocast_enabled(device):
        return TOLERANCE[x.dtype]
    return max(TOLERANCE[x.dtype], TOLERANCE[torch.get_autocast_dtype(device)])


def exchanged(rows: Batch, name: str) -> Batch:
    """Rows whose features (and padding) of one modality are those of the row before."""
    roll = each_field(rows.features[name], lambda x: x.roll(1, 0))
    padding = {n: e.roll(1, 0) if n == name else e for n, e in rows.padding.items()}
    return rows._with(features={**rows.features, name: roll}, padding=padding)
