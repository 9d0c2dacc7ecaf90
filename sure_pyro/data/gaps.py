"""Gaps of the arrays that come in, as masks: what was not recorded, by entry and by row."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from sure_pyro.data.fields import Modalities, each_field, reference
from sure_pyro.data.masks import Tensors, any_in_row
from sure_pyro.data.validate import rows_in_words


def nan_gaps(features: Modalities) -> dict[str, Any]:
    """Where the features are NaN, in the form of the features."""
    return {name: each_field(x, lambda v: v.isnan()) for name, x in features.items()}


def recorded_parts(gaps: Mapping[str, Any]) -> dict[str, Tensor]:
    """Masks ``recorded`` of the modalities of one tensor that have gaps."""
    return {name: ~g for name, g in gaps.items() if isinstance(g, Tensor) and bool(g.any())}


def rows_without(gaps: Mapping[str, Any]) -> dict[str, Bool[Tensor, " B"]]:
    """Rows in which a modality with several fields is absent: every field with gaps is all gap.

    Raises
    ------
    ValueError
        If such a modality lacks only a part of what it has in other rows.
    """
    return {
        name: _rows_without(name, {f: g for f, g in fields.items() if bool(g.any())})
        for name, fields in gaps.items()
        if isinstance(fields, Mapping) and any(bool(g.any()) for g in fields.values())
    }


def _rows_without(name: str, gaps: Tensors) -> Bool[Tensor, " B"]:
    lacks_all = torch.stack([~any_in_row(~g) for g in gaps.values()]).all(0)
    lacks_some = torch.stack([any_in_row(g) for g in gaps.values()]).any(0)
    partly = lacks_some & ~lacks_all
    if partly.any():
        raise ValueError(
            f"Modality {name!r} lacks parts of its fields {list(gaps)} in {rows_in_words(partly)}: "
            "a modality of several fields is there or not. Mark these rows in `available`, or make "
            "the field of which parts are missing a modality of its own."
        )
    return lacks_all


def lower(
    available: Tensor | None, features: Modalities, without: Mapping[str, Tensor]
) -> Tensor | None:
    """Availability ``(B, M)`` less the rows that lack a modality, by its name."""
    if not without:
        return available
    first = reference(features)
    if available is None:
        available = first.new_ones(len(first), len(features), dtype=torch.bool)
    missing = torch.zeros(available.shape, dtype=torch.bool, device=first.device)
    for name, rows in without.items():
        missing[:, list(features).index(name)] = rows
    return available & ~missing
