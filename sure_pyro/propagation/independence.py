"""Do the rows of a function leak into each other? Then no gradient of a column's sum is right."""

from __future__ import annotations

import torch
from torch import Tensor

from sure_pyro.propagation.inputs import Inputs


def check_rows_independent(y: Tensor, elsewhere: Tensor | None, inputs: Inputs) -> None:
    """Refuse a function whose rows leak into each other (batch-norm in train mode).

    The first row of `inputs` is seen once more among other rows: its output `elsewhere` (C,) may
    not differ from the first of `y` (B, C). If there are no other rows, it is evaluated beside
    nothing but its own copy, at the price of a forward pass of two rows.

    Raises
    ------
    ValueError
        If it changes by more than rounding.
    """
    if elsewhere is None:
        if len(y) == 1:
            return
        with torch.no_grad():
            twice = torch.zeros(2, dtype=torch.long, device=inputs.device)
            elsewhere = inputs.evaluate_mean(twice)[0][-1]  # a leak may run one way only
    change = float((elsewhere - y[0]).detach().abs().max())
    if change > rounding(y) * float(y.detach().abs().max()):  # NaN is another check's business
        raise ValueError(
            f"`fn` mixes its rows, or is random: the output of a row changes by {change:.3g} when "
            "the other rows change. Put modules into `eval()` (batch-norm, dropout), or pass "
            "`check_rows=False` if you know better."
        )


def rounding(y: Tensor) -> float:
    """Relative change that different batch sizes may cause: the root of the precision."""
    kind = y.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else y.dtype
    return 4 * torch.finfo(dtype).eps ** 0.5
