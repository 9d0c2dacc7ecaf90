"""Concatenation of batches, row below row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sure_pyro.data.fields import each_field, event_shape

if TYPE_CHECKING:
    from sure_pyro.data.batch import Batch


def joined(batches: "Sequence[Batch]") -> dict[str, Any]:
    """Fields of the concatenated batch.

    Masks that only some of the batches have (`recorded`, `padding`) are spelt out for the others;
    `target`, `group` and `test` must be there in all or in none.

    Raises
    ------
    ValueError
        If modalities, shapes, dtypes, tasks or class names differ, or there is no batch.
    """
    if not batches:
        raise ValueError("`Batch.cat` needs at least one batch; got none.")
    for k, other in enumerate(batches[1:], start=1):
        _check_alike(batches[0], other, k)
    first = batches[0]
    partly = [n for n in first.modalities if any(n in b.recorded for b in batches)]
    padded = [n for n in first.modalities if any(n in b.padding for b in batches)]
    return {
        "features": {n: _features(batches, n) for n in first.modalities},
        "available": torch.cat([b.available for b in batches]),
        "recorded": {n: torch.cat([b.recorded_entries(n) for b in batches]) for n in partly},
        "padding": {n: _padding(batches, n) for n in padded},
        **{field: _maybe_cat(batches, field) for field in ("target", "group", "test")},
    }


def _features(batches: "Sequence[Batch]", name: str) -> Any:
    first = batches[0].features[name]
    if isinstance(first, Tensor):
        return torch.cat([b.features[name] for b in batches])
    return {field: torch.cat([b.features[name][field] for b in batches]) for field in first}


def _padding(batches: "Sequence[Batch]", name: str) -> Tensor:
    known = next(b.padding[name] for b in batches if name in b.padding)
    every_token = known.new_ones(1, known.shape[1])
    return torch.cat([b.padding.get(name, every_token.expand(len(b), -1)) for b in batches])


def _maybe_cat(batches: "Sequence[Batch]", field: str) -> Tensor | None:
    values = [getattr(b, field) for b in batches]
    if all(v is None for v in values):
        return None
    without = [k for k, v in enumerate(values) if v is None]
    if without:
        raise ValueError(f"`{field}` is there in some batches, but not in batch {without}.")
    return torch.cat(values)


def _check_alike(first: "Batch", other: "Batch", k: int) -> None:
    described, got = _description(first), _description(other)
    for what in described:
        if described[what] != got[what]:
            raise ValueError(
                f"Batches can not be concatenated: {what} of batch 0 is {described[what]}, "
                f"of batch {k} {got[what]}."
            )


def _description(batch: "Batch") -> dict[str, Any]:
    return {
        "modalities": batch.modalities,
        "content": "latents" if batch.encoded else "features",
        "event shapes": {n: event_shape(x) for n, x in batch.features.items()},
        "dtypes": {n: each_field(x, lambda v: v.dtype) for n, x in batch.features.items()},
        "device": batch.available.device,
        "task": batch.task,
        "class names": batch.class_names,
        "target shape": None if batch.target is None else tuple(batch.target.shape[1:]),
        "target dtype": None if batch.target is None else batch.target.dtype,
    }
