"""Modalities as they come: arrays, lists of sequences of unequal lengths, mappings of fields.

A list of arrays whose first dimensions differ becomes one padded tensor with the mask of its
tokens. An entry that is None, or has no token, is an absent modality: a sequence of length zero is
illegal for most encoders, and means the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sure_pyro.data.fields import ATTENTION_MASK
from sure_pyro.data.reading import Numbers, common_dtype, holds_arrays, read_numbers
from sure_pyro.data.validate import rows_in_words


@dataclass(frozen=True)
class Read:
    """A modality as it was read.

    Attributes
    ----------
    values : Tensor, shape ``(B, *event)``, or dict of such fields
    gaps : bool Tensor of the same shape, or dict of them, or None
        Entries that the source marks as missing: masked, NA or None.
    tokens : bool Tensor, shape ``(B, L)``, or None
        True where the token of a list of unequal lengths exists.
    absent : bool Tensor, shape ``(B,)``, or None
        Rows given as None, or without a token.
    """

    values: Any
    gaps: Any = None
    tokens: Tensor | None = None
    absent: Tensor | None = None


def read_modality(x: Any, name: str) -> Read:
    """Values, gaps, tokens and absent rows of a modality, or of one with fields.

    Raises
    ------
    TypeError, ValueError
        As `sure_pyro.data.reading.read_numbers`; also if the event shapes of a list differ, if
        no entry of it has a token, or if the fields of a modality differ in their lengths.
    """
    if isinstance(x, Mapping):
        words = {field: f"Field {field!r} of modality {name!r}" for field in x}
        return _together({field: _read(v, words[field]) for field, v in x.items()}, name)
    return _read(x, f"Modality {name!r}")


def _read(x: Any, words: str) -> Read:
    if x is None:
        raise TypeError(f"{words} is None. Leave it out, or give its rows: None for absent ones.")
    entries = _entries(x)
    if entries is None:
        return Read(*read_numbers(x, words))
    return _padded([None if _is_none(e) else read_numbers(e, words) for e in entries], words)


def _entries(x: Any) -> Sequence[Any] | None:
    """Rows of a list that has to be read row by row; None where it is one array."""
    if isinstance(x, Tensor):
        return list(x.unbind()) if x.is_nested else None
    if isinstance(x, pd.Series) or (isinstance(x, np.ndarray) and x.ndim == 1):
        x = list(x) if x.dtype == object else None
    if not isinstance(x, list | tuple) or not any(_is_row(entry) for entry in x):
        return None
    same = {_length(entry) for entry in x}
    return x if len(same) > 1 or same & {None, 0} else None


def _is_none(entry: Any) -> bool:
    if _is_row(entry):
        return False
    return entry is None or entry is np.ma.masked or bool(np.all(pd.isna(entry)))


def _is_row(entry: Any) -> bool:
    return isinstance(entry, list | tuple) or (holds_arrays(entry) and np.ndim(entry) > 0)


def _length(entry: Any) -> int | None:
    return len(entry) if _is_row(entry) else None


def _padded(rows: list[Numbers | None], words: str) -> Read:
    """One tensor of rows, padded behind where their lengths differ."""
    lengths = torch.tensor([0 if row is None else _num_tokens(row, words) for row in rows])
    there = {k: row for k, row in enumerate(rows) if row is not None and lengths[k] > 0}
    if not there:
        raise ValueError(f"{words} has no row with any value: leave the modality out.")
    event = _event(there, words)
    shape = (len(rows), int(lengths.max()), *event)
    dtype = common_dtype([row.values.dtype for row in there.values()])
    device = next(iter(there.values())).values.device
    values = torch.zeros(shape, dtype=dtype, device=device)
    gaps = torch.zeros(shape, dtype=torch.bool, device=device)
    for k, row in there.items():
        values[k, : lengths[k]] = row.values.to(dtype)
        if row.gaps is not None:
            gaps[k, : lengths[k]] = row.gaps
    absent = (lengths == 0).to(device)
    tokens = (torch.arange(shape[1]) < lengths[:, None]).to(device) | absent[:, None]
    return Read(values, gaps if gaps.any() else None, None if tokens.all() else tokens, absent)


def _num_tokens(row: Numbers, words: str) -> int:
    if row.values.ndim == 0:
        raise TypeError(
            f"{words} is a list of rows and of single numbers, such as {row.values.item()}: give "
            "every row as a list."
        )
    return len(row.values)


def _event(there: Mapping[int, Numbers], words: str) -> tuple[int, ...]:
    """Shape of a token, which all rows must share."""
    shapes = {k: tuple(row.values.shape) for k, row in there.items()}
    first, event = next((k, shape[1:]) for k, shape in shapes.items())
    for k, shape in shapes.items():
        if shape[1:] != event:
            raise TypeError(
                f"{words} must be an array with rows of equal shape, or a list of rows that differ "
                f"in their first dimension only; row {first} has {shapes[first]}, row {k} {shape}."
            )
    return event


def _together(fields: dict[str, Read], name: str) -> Read:
    """Fields of one modality: they have the same rows, and one length."""
    read = Read(
        {field: r.values for field, r in fields.items()},
        {field: r.gaps for field, r in fields.items()},
    )
    absent = {f: r.absent for f, r in fields.items() if r.absent is not None}
    tokens = {f: r.tokens for f, r in fields.items() if r.tokens is not None}
    _check_same(absent, name, "are there in other rows")
    _check_same(tokens, name, "have other lengths")
    mask = next(iter(tokens.values()), None)
    if ATTENTION_MASK in tokens:  # it says at least as much: zero behind the end of a row
        mask = None
    return replace(read, tokens=mask, absent=next(iter(absent.values()), None))


def _check_same(masks: Mapping[str, Tensor], name: str, differ: str) -> None:
    first = next(iter(masks), "")
    for field, mask in masks.items():
        other = masks[first]
        wrong = (
            torch.ones(len(mask), dtype=torch.bool)
            if mask.shape != other.shape
            else (mask != other).reshape(len(mask), -1).any(1)
        )
        if wrong.any():
            raise ValueError(
                f"The fields {first!r} and {field!r} of modality {name!r} {differ}, in "
                f"{rows_in_words(wrong)}. Give each a modality of its own, or pad them alike and "
                "say so in `padding`."
            )
