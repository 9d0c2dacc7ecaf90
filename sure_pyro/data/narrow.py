"""Casts to fewer digits that keep what the values say: relative to their spread, not their size.

A float32 has 24 binary digits. Of 1.7e9 + k, k = 0..99, it leaves one value: what varies is lost in
what does not. So a cast is refused where its rounding is no longer small beside the spread; it says
so in whatever unit the values come, and lets volts and teslas of 1e-12 pass.
"""

from typing import Any

import torch
from torch import Tensor

STEPS = 1000
"""Rounding errors may reach so many machine epsilons of the standard deviation: with float32, a
mean may lie some 3,000 standard deviations from zero."""


def narrowed(
    x: Tensor, dtype: torch.dtype | None, words: str, kept: Tensor | None = None
) -> Tensor:
    """Values in a floating dtype, of which none loses its differences.

    Parameters
    ----------
    x : Tensor, shape ``(B,)`` or ``(B, ..., D)``
        Floating, or integers that are to become so. Judged for each of the D channels.
    dtype : torch.dtype or None
        Floating; None leaves everything as it is.
    words : str
        How an error begins: ``"Modality 'x'"``.
    kept : bool Tensor of the shape of `x`, optional
        Entries that count; all by default. NaN never counts.

    Raises
    ------
    ValueError
        If rounding moves the values of a channel, root mean square, by more than a share of their
        standard deviation: 1e-4 for float32.
    """
    if dtype is None or x.dtype == dtype:
        return x
    y = x.to(dtype)
    if _holds_all(x.dtype, dtype):
        return y
    counts = ~x.isnan() if kept is None else kept & ~x.isnan()
    spread, error = _spread_and_error(_columns(x), _columns(y), _columns(counts))
    lost = error > min(STEPS * torch.finfo(dtype).eps, 0.1) * spread
    if lost.any():
        k = int(lost.nonzero()[0])
        largest = _columns(torch.where(counts, x, 0).double().abs()).amax(0)[k].item()
        raise ValueError(
            f"{words} would lose its differences in {dtype}: "
            + (f"column {k} has " if x.ndim > 1 else "it has ")
            + f"values up to {largest:.6g} that vary by {spread[k].item():.3g} (standard "
            f"deviation) and would be rounded by {error[k].item():.3g}. Subtract an offset, such "
            "as the mean, and rescale what is very small or large"
            + ("." if dtype == torch.float64 else ", or keep the digits: `dtype=torch.float64`.")
        )
    return y


def check_floating(dtype: Any) -> None:
    """Raise TypeError unless it is a floating dtype of torch, or None."""
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise TypeError(f"`dtype` must be a floating dtype such as torch.float32; got {dtype!r}.")


def _holds_all(source: torch.dtype, target: torch.dtype) -> bool:
    """Whether every value of one dtype is one of the other, as far as promotion tells."""
    if source == torch.bool:
        return True
    if source.is_floating_point:
        wide, fits = torch.finfo(source), torch.finfo(target)
        return fits.eps <= wide.eps and fits.max >= wide.max
    return torch.iinfo(source).max <= 2 / torch.finfo(target).eps


def _columns(x: Tensor) -> Tensor:
    return x.reshape(-1, x.shape[-1]) if x.ndim > 1 else x.reshape(-1, 1)


def _spread_and_error(x: Tensor, y: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviation of each column, and root mean square of what rounding does to it.

    Deviations are taken from a value of the column, before anything is rounded. A column that
    varies by its own rounding error only is a constant: its spread is infinite here, so that
    nothing of it can be lost.
    """
    x = x if x.is_floating_point() else x.to(torch.int64)
    first = x.gather(0, counts.to(torch.int8).argmax(0, keepdim=True))
    n = counts.sum(0).clamp(min=1)
    deviation = torch.where(counts, (x - first).double(), 0.0)
    mean = deviation.sum(0) / n
    spread = (torch.where(counts, deviation - mean, 0.0).square().sum(0) / n).sqrt()
    error = (torch.where(counts, (x - y.to(x.dtype)).double(), 0.0).square().sum(0) / n).sqrt()
    size = torch.where(counts, x, 0).double().abs().amax(0)
    noise = 8 * torch.finfo(x.dtype).eps if x.is_floating_point() else 0.0
    constant = deviation.abs().amax(0) <= noise * size
    return torch.where(constant, torch.inf, spread), error
