"""The public door of every method: check what came, and bring it into one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from sure_pyro.propagation.covariance import as_covariance
from sure_pyro.propagation.inputs import (
    SINGLE,
    Function,
    Inputs,
    Known,
    Mean,
    Variance,
    check_finite,
    each_tensor,
)
from sure_pyro.propagation.moments import RESERVED


def prepare(
    fn: Function, mean: Mean, variance: Variance, head: str | None = None, known: Known = None
) -> Inputs:
    """Check the arguments of a method and bring them into one form.

    Raises
    ------
    TypeError
        If `fn` cannot be called, or latents are not tensors.
    ValueError
        If names, shapes, dtypes or values do not fit; the message says which and what to do.
    """
    if not callable(fn):
        raise TypeError(f"`fn` must be callable; got {type(fn).__name__}.")
    if not isinstance(mean, (Tensor, Mapping)):
        raise TypeError(
            "`mean` must be a Tensor (B, *event) or a dictionary of them by name; got "
            f"{type(mean).__name__}: `torch.as_tensor` makes one."
        )
    single = isinstance(mean, Tensor)
    latents = {SINGLE: mean} if isinstance(mean, Tensor) else dict(mean)
    spread = dict(variance) if isinstance(variance, Mapping) else {SINGLE: variance}
    _check_names(latents, spread, single, isinstance(variance, Mapping), head)
    latents = {name: _own(z) for name, z in latents.items()}
    _check_latents(latents, spread)
    covariances = {
        name: as_covariance(name, _own(s2), latents[name]) for name, s2 in spread.items()
    }
    inputs = Inputs(fn, latents, covariances, single, _dtype(latents, spread))
    return replace(inputs, known=each_tensor(known, partial(_of_rows, num_rows=len(inputs))))


def _of_rows(x: Tensor, num_rows: int) -> Tensor:
    if not x.ndim or len(x) != num_rows:
        raise ValueError(
            f"Every Tensor in `known` needs the {num_rows} rows of `mean` as first axis; got the "
            f"shape {tuple(x.shape)}."
        )
    return _own(x)


def _dtype(latents: dict[str, Tensor], spread: Mapping[str, object]) -> torch.dtype:
    names = list(spread) or [name for name, z in latents.items() if z.is_floating_point()]
    dtypes = {name: latents[name].dtype for name in names}
    if len(set(dtypes.values())) > 1 and spread:
        raise ValueError(f"The uncertain latents need one dtype; got {dtypes}.")
    return next(iter(dtypes.values()), torch.get_default_dtype())


def _own(value: Any) -> Any:
    # A tensor made under `torch.inference_mode` can not enter autograd: copy it out.
    if is_dataclass(value) and not isinstance(value, type):
        parts = {part.name: getattr(value, part.name) for part in fields(value)}
        foreign = {name: _own(part) for name, part in parts.items() if part.is_inference()}
        return replace(value, **foreign) if foreign else value
    if isinstance(value, Tensor) and value.is_inference():
        with torch.inference_mode(False):
            return value.clone()
    return value


def _check_names(
    latents: dict[str, Tensor],
    spread: Mapping[str, object],
    single: bool,
    named: bool,
    head: str | None,
) -> None:
    if single is named:
        raise TypeError(
            "`mean` and `variance` must have the same form: two tensors, or two dictionaries "
            f"by name; got a {'Tensor' if single else 'dictionary'} and a "
            f"{'dictionary' if named else 'Tensor'}."
        )
    if not latents:
        raise ValueError("`mean` is an empty dictionary: nothing to propagate.")
    unknown = [name for name in spread if name not in latents]
    if unknown:
        raise ValueError(f"`variance` names {unknown}, but `mean` has only {list(latents)}.")
    taken = [name for name in spread if name in RESERVED]
    if taken:
        raise ValueError(
            f"The source names {taken} are taken by the result itself: rename these inputs."
        )
    if head in (*spread, *RESERVED):
        raise ValueError(
            f"The function's own noise can not be called {head!r}, as an input or a part of the "
            'result is: pass another name, such as `head="noise"`.'
        )


def _check_latents(latents: dict[str, Tensor], spread: Mapping[str, object]) -> None:
    for name, z in latents.items():
        if not isinstance(z, Tensor):
            raise TypeError(f"`mean['{name}']` must be a Tensor; got {type(z).__name__}.")
    lengths = {name: z.shape[0] if z.ndim else None for name, z in latents.items()}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        raise ValueError(
            f"All of `mean` need the same number of rows B as first axis; got {lengths}."
        )
    if not next(iter(lengths.values())):
        raise ValueError("`mean` has no rows (B = 0): nothing to propagate.")
    for name in spread:
        z = latents[name]
        if not z.is_floating_point():
            raise TypeError(
                f"`mean['{name}']` has a variance, so it must be floating; got {z.dtype}."
            )
        if not z[0].numel():
            raise ValueError(f"`mean['{name}']` has no entries: shape {tuple(z.shape)}.")
        check_finite(f"value of `mean['{name}']`", z)
