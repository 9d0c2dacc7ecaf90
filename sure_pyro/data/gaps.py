"""Gaps of the arrays that come in, as masks: what was not recorded, by entry and by row."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor

from sure_pyro.data.fields import Modalities, tensors_of, worded
from sure_pyro.data.lists import Read
from sure_pyro.data.masks import Tensors, any_in_row, existing_entries
from sure_pyro.data.validate import rows_in_words


def gaps_of(read: Read, nan: bool) -> Any:
    """Entries that are marked as missing, and those that are NaN if that means the same.

    Returns
    -------
    bool Tensor, shape ``(B, *event)``
        For a modality with fields a dict of them.
    """
    if isinstance(read.values, Mapping):
        return {f: _gaps(x, (read.gaps or {}).get(f), nan) for f, x in read.values.items()}
    return _gaps(read.values, read.gaps, nan)


def _gaps(x: Tensor, marked: Tensor | None, nan: bool) -> Tensor:
    gaps = x.isnan() if nan else torch.zeros_like(x, dtype=torch.bool)
    return gaps if marked is None else gaps | marked.to(x.device)


def refuse_gaps(gaps: Mapping[str, Any], available: Bool[Tensor, "B M"], padding: Tensors) -> None:
    """Raise ValueError if entries are marked as missing that should be there."""
    for i, (name, modality) in enumerate(gaps.items()):
        for words, marked in worded(name, modality).items():
            bad = any_in_row(marked & existing_entries(marked, available[:, i], padding.get(name)))
            if bad.any():
                raise ValueError(
                    f"{words} has entries that are masked, NA or None although it is marked as "
                    f"available, in {rows_in_words(bad)}. If they were not recorded, say so: "
                    "`nan='missing'`."
                )


def recorded_parts(gaps: Mapping[str, Any]) -> dict[str, Tensor]:
    """Masks ``recorded`` of the modalities of one tensor that have gaps."""
    return {name: ~g for name, g in gaps.items() if isinstance(g, Tensor) and bool(g.any())}


def rows_without(
    gaps: Mapping[str, Any], available: Bool[Tensor, "B M"], padding: Tensors
) -> dict[str, Bool[Tensor, " B"]]:
    """Rows of which nothing was recorded, by modality; of the fields those count that have gaps.

    Raises
    ------
    ValueError
        If a modality with several fields lacks only a part of what it has in other rows.
    """
    without = {}
    for i, (name, modality) in enumerate(gaps.items()):
        marked = [g for g in tensors_of(modality) if bool(g.any())]
        if not marked:
            continue
        exists = [existing_entries(g, available[:, i], padding.get(name)) for g in marked]
        pairs = list(zip(marked, exists, strict=True))
        without[name] = torch.stack([~any_in_row(e & ~g) for g, e in pairs]).all(0)
        if isinstance(modality, Mapping):
            some = torch.stack([any_in_row(e & g) for g, e in pairs]).any(0)
            _check_whole(name, list(modality), some & ~without[name])
    return without


def _check_whole(name: str, fields: list[str], partly: Bool[Tensor, " B"]) -> None:
    if partly.any():
        raise ValueError(
            f"Modality {name!r} lacks parts of its fields {fields} in {rows_in_words(partly)}: "
            "a modality of several fields is there or not. Mark these rows in `available`, or make "
            "the field of which parts are missing a modality of its own."
        )


def lower(
    available: Bool[Tensor, "B M"], features: Modalities, without: Mapping[str, Tensor]
) -> Bool[Tensor, "B M"]:
    """Availability less the rows that lack a modality, by its name."""
    missing = torch.zeros_like(available)
    for name, rows in without.items():
        missing[:, list(features).index(name)] = rows
    return available & ~missing
