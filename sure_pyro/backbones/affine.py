"""A readout as an affine map, whatever module it is made of."""

import torch
from torch import Tensor, nn
from torch.nn.utils import skip_init

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 3e-2, torch.bfloat16: 3e-2}


@torch.no_grad()
def as_affine(module: nn.Module, h: Tensor) -> nn.Linear | None:
    """Linear layer that says what a module says, or None if none does.

    Found by its values at zero and at the unit vectors, and tried at `h`: any module will do that
    is affine, with or without bias, adapted, weight-normed, quantised, or several in a row.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode, from ``(B, H)`` to ``(B, C)``.
    h : Tensor, shape ``(B, H)``
        Representations to try it at.

    Returns
    -------
    nn.Linear or None
        In the dtype of `h`, or float32 if that is a half precision.
    """
    H = h.shape[1]
    unit = torch.eye(H, dtype=h.dtype, device=h.device)
    more = torch.stack([h.mean(0), 2 * h[0] - h[-1], -h[0]])
    try:
        bias = module(torch.zeros_like(h[:1]))
        weight = module(unit) - bias  # (H, C)
        given, tried = module(torch.cat([h, more])), torch.cat([h, more])
    except Exception:  # it may not take other numbers of rows, or other numbers
        return None
    if not isinstance(given, Tensor) or given.ndim != 2:
        return None
    wide = torch.float64
    expected = tried.to(wide) @ weight.to(wide) + bias.to(wide)
    scale = 1 + given.abs().max().to(wide)
    if not bool(((expected - given.to(wide)).abs() <= TOLERANCE[given.dtype] * scale).all()):
        return None
    dtype = _at_least_single(given.dtype)
    # No random number is drawn: the caller's seed goes on as if nothing had been looked for.
    linear = skip_init(nn.Linear, H, given.shape[1], device=h.device, dtype=dtype)
    linear.weight.copy_(weight.mT)
    linear.bias.copy_(bias[0])
    return linear


def _at_least_single(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)
