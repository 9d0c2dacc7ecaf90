"""Batches from arrays of every kind: the door at which NaN and masks may become availability."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.fields import Modalities, floating_dtype, reference
from sure_pyro.data.flags import read_groups, read_test
from sure_pyro.data.gaps import gaps_of, lower, recorded_parts, refuse_gaps, rows_without
from sure_pyro.data.labels import read_target
from sure_pyro.data.lists import Read, read_modality
from sure_pyro.data.masks import Tensors, existing_entries
from sure_pyro.data.narrow import check_floating, narrowed
from sure_pyro.data.order import check_order
from sure_pyro.data.padding import find_padding
from sure_pyro.data.reading import read_complete
from sure_pyro.data.targets import Target, check_target
from sure_pyro.data.validate import check_available, check_features, check_mask, rows_in_words


def from_arrays(
    features: Mapping[str, Any],
    target: Any = None,
    available: Any = None,
    group: Any = None,
    task: str | None = None,
    class_names: Sequence[str] | None = None,
    nan: str = "error",
    *,
    test: Any = None,
    padding: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    allow_empty: bool = False,
) -> Batch:
    """Build a batch from arrays, masked arrays, tensors, pandas or xarray objects, or lists.

    Parameters
    ----------
    features : mapping of str to array, shapes ``(B, *event_i)``, or to mappings of such arrays
        Values by modality name; their order is the order of the modalities. Copied, dtypes kept. A
        modality with several fields, such as ``{"input_ids": ..., "attention_mask": ...}``, is a
        mapping of arrays. A list of arrays of shapes ``(L, ...)`` that differ in their first
        dimension becomes one tensor ``(B, L, ...)``, padded behind, with its padding mask; the
        modality is absent in rows that are None or have no token (L = 0).
    target : array, shape ``(B,)`` or ``(B, C)``, optional
        Text, categories, booleans and integers ``(B,)`` are classes, a matrix of 0 and 1 is
        multi-label, all else is regression; but floats that are 0..K-1 or 1..K, few and each met,
        are classes too. What is open to another reading is announced by the batch.
    available : bool array ``(B, M)``, or mapping of str to bool array ``(B,)``, optional
        Modalities that a mapping does not name are available throughout.
    group : array of integers or text, shape ``(B,)``, optional
        Subject, video, week: what a split keeps together. Text is numbered in sorted order.
    task : {"classification", "regression", "multilabel"}, optional
        Overrides what the target looks like: ``"classification"`` takes whole floats, a column
        ``(B, 1)`` and one-hot rows, ``"regression"`` integers.
    class_names : sequence of str, optional
        In the order of the class numbers; of a target of text, which numbers it gets.
    nan : {"error", "missing"}
        What NaN in the features means, and what their source marks as masked, NA or None.
        ``"missing"``: a row of nothing else lacks the modality, a row with some has it recorded in
        parts. A modality with several fields is there or not: it is absent where every field that
        has such entries at all has nothing else.
    test : array, shape ``(B,)``, optional
        Rows set aside as test part: True or 1, or the text True or test.
    padding : mapping of str to bool array, shapes ``(B, L_i)``, optional
        True where the token of a sequence exists.
    dtype : torch.dtype, optional
        Of all floating values; by default each keeps its own. Refused where its digits do not
        suffice for how the values vary (float32 for seconds since 1970).
    allow_empty : bool
        Accept rows without any available modality.

    Returns
    -------
    Batch

    Raises
    ------
    TypeError, ValueError
        As `Batch`; also if `nan` is none of the choices, if arrays hold anything but real numbers
        (text, dates, categories, objects), if flags or groups have missing values, or if pandas
        objects have the same index in different orders.

    Examples
    --------
    >>> batch = from_arrays({"a": [[0.5], [float("nan")]], "b": [[1.0], [2.0]]}, nan="missing")
    >>> batch.available.tolist()
    [[True, True], [False, True]]
    """
    if nan not in ("error", "missing"):
        raise ValueError(f"`nan` must be 'error' or 'missing'; got {nan!r}.")
    check_floating(dtype)
    check_order({"target": target, "group": group, "test": test, "available": available}, features)
    read = _read(features)
    x = check_features({name: r.values for name, r in read.items()})
    gaps = {name: gaps_of(r, nan == "missing") for name, r in read.items()}
    tokens = _tokens(padding, read)
    absent = {name: r.absent for name, r in read.items() if r.absent is not None}
    present = lower(_availability(available, x), x, absent)
    masks = find_padding(tokens, x)
    if nan == "missing":
        present = lower(present, x, rows_without(gaps, present, masks))
    else:
        refuse_gaps(gaps, present, masks)
    x = _in_dtype(x, gaps, present, masks, dtype)
    y = _target(target, x, task, class_names, dtype)
    return Batch(
        x,
        present,
        y.values,
        None if group is None else read_groups(group),
        recorded_parts(gaps),
        tokens,
        y.task,
        y.class_names,
        None if test is None else read_test(test),
        {"target": y.note} if y.note else None,
        allow_empty=allow_empty,
    )


def _read(features: Any) -> dict[str, Read]:
    if not isinstance(features, Mapping):
        more = " For columns use `from_dataframe`." if isinstance(features, pd.DataFrame) else ""
        raise TypeError(
            f"`features` must map modality names to arrays; got {type(features).__name__}.{more}"
        )
    return {name: read_modality(values, name) for name, values in features.items()}


def _availability(available: Any, x: Modalities) -> Tensor:
    if isinstance(available, pd.DataFrame) and all(isinstance(c, str) for c in available):
        available = {name: available[name] for name in available}
    if not isinstance(available, Mapping):
        mask = None if available is None else read_complete(available, "`available`")
        return check_available(mask, x)
    unknown = [name for name in available if name not in x]
    if unknown:
        raise ValueError(f"`available` names {unknown}; the modalities are {list(x)}.")
    first = reference(x)
    columns = []
    for name in x:
        argument = f"`available[{name!r}]`"
        column = read_complete(available[name], argument) if name in available else None
        columns.append(
            first.new_ones(len(first), dtype=torch.bool)
            if column is None
            else check_mask(column, argument, (len(first),), first.device)
        )
    return torch.stack(columns, 1)


def _tokens(padding: Any, read: Mapping[str, Read]) -> dict[str, Tensor]:
    """Padding masks, given or of lists of unequal lengths; where both are, they must agree."""
    if not isinstance(padding, Mapping | None):
        raise TypeError(
            f"`padding` must map modality names to masks (rows, L); got {type(padding).__name__}."
        )
    given = {n: read_complete(v, f"`padding[{n!r}]`") for n, v in (padding or {}).items()}
    of_lists = {name: r.tokens for name, r in read.items() if r.tokens is not None}
    for name in given.keys() & of_lists.keys():
        mask, absent = of_lists[name], read[name].absent
        differ = torch.ones(len(mask), dtype=torch.bool, device=mask.device)
        if given[name].shape == mask.shape:
            differ = (given[name] != mask).any(1)
        differ = differ if absent is None else differ & ~absent
        if differ.any():
            raise ValueError(
                f"`padding[{name!r}]` differs from the lengths of the rows of {name!r} in "
                f"{rows_in_words(differ)}. Leave it out: a list of rows brings its own padding."
            )
    return of_lists | given


def _in_dtype(
    x: Modalities,
    gaps: Mapping[str, Any],
    available: Tensor,
    padding: Tensors,
    dtype: torch.dtype | None,
) -> dict[str, Any]:
    """Floating features in one dtype, unless that would cost them their differences."""

    def cast(v: Tensor, gap: Tensor, i: int, name: str, words: str) -> Tensor:
        if not v.is_floating_point():
            return v
        kept = existing_entries(v, available[:, i], padding.get(name)) & ~gap
        return narrowed(v, dtype, words, kept)

    return {
        name: {
            field: cast(v, gaps[name][field], i, name, f"Field {field!r} of modality {name!r}")
            for field, v in modality.items()
        }
        if isinstance(modality, Mapping)
        else cast(modality, gaps[name], i, name, f"Modality {name!r}")
        for i, (name, modality) in enumerate(x.items())
    }


def _target(
    target: Any,
    x: Modalities,
    task: str | None,
    class_names: Sequence[str] | None,
    dtype: torch.dtype | None,
) -> Target:
    first = reference(x)
    y = None
    if target is not None:
        y, class_names = read_target(target, task, class_names)
        y = narrowed(y, dtype, "`target`") if y.is_floating_point() else y
    floating = dtype or floating_dtype(x)
    return check_target(y, len(first), first.device, task, class_names, floating)
