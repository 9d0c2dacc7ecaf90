"""Do the rows of a function leak into each other? Then no gradient of a column's sum is right."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from sure_pyro.propagation.inputs import Function, Inputs

# What was asked of a module or of one of its methods, and its parts and their modes at that time.
_INDEPENDENT: WeakKeyDictionary[nn.Module, dict[str, list[tuple[int, bool]]]] = WeakKeyDictionary()


def check_rows_independent(y: Tensor, elsewhere: Tensor | None, inputs: Inputs) -> None:
    """Refuse a function whose rows leak into each other (batch-norm in train mode).

    The first row of `inputs` is seen once more in other company: its output `elsewhere` (C,) may
    not differ from the first of `y` (B, C). If there is no other company, it is evaluated beside
    nothing but its own copy, at the price of a forward pass of two rows. A module that was asked so
    is not asked again while it keeps its parts and their modes.

    Raises
    ------
    ValueError
        If it changes by more than rounding.
    """
    if elsewhere is not None:
        _compare(y, elsewhere)
    elif len(y) > 1 and not _is_known(inputs.fn):
        with torch.no_grad():
            twice = torch.zeros(2, dtype=torch.long, device=inputs.device)
            _compare(y, inputs.evaluate_mean(twice)[0][-1])  # a leak may run one way only
        _remember(inputs.fn)


def _compare(y: Tensor, elsewhere: Tensor) -> None:
    change = float((elsewhere - y[0]).detach().abs().max())
    if change > rounding(y) * float(y.detach().abs().max()):  # NaN is another check's business
        raise ValueError(
            f"`fn` mixes its rows, or is random: the output of a row changes by {change:.3g} when "
            "the other rows change. Put modules into `eval()` (batch-norm, dropout), or pass "
            "`check_rows=False` if you know better."
        )


def _is_known(fn: Function) -> bool:
    module, name = _owner(fn)
    return module is not None and _INDEPENDENT.get(module, {}).get(name) == _parts(module)


def _remember(fn: Function) -> None:
    module, name = _owner(fn)
    if module is not None:
        _INDEPENDENT.setdefault(module, {})[name] = _parts(module)


def _owner(fn: Function) -> tuple[nn.Module | None, str]:
    """Module behind a function, and the name of its method; no other function is remembered."""
    module = getattr(fn, "__self__", fn)
    return (module if isinstance(module, nn.Module) else None), getattr(fn, "__name__", "forward")


def _parts(module: nn.Module) -> list[tuple[int, bool]]:
    return [(id(part), part.training) for part in module.modules()]


def rounding(y: Tensor) -> float:
    """Relative change that different batch sizes may cause: the root of the precision."""
    kind = y.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else y.dtype
    return 4 * torch.finfo(dtype).eps ** 0.5
