"""Batches from numpy arrays or tensors: the door at which NaN may become availability."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.fields import Modalities, reference, tensors_of
from sure_pyro.data.gaps import lower, nan_gaps, recorded_parts, rows_without


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
    """Build a batch from arrays, tensors or nested lists.

    Parameters
    ----------
    features : mapping of str to array, shapes ``(B, *event_i)``, or to mappings of such arrays
        Values by modality name; their order is the order of the modalities. Copied, dtypes kept. A
        modality with several fields, such as ``{"input_ids": ..., "attention_mask": ...}``, is a
        mapping of arrays.
    target : array, shape ``(B,)`` or ``(B, C)``, optional
        Integers ``(B,)`` are classes, a matrix of 0 and 1 is multi-label, all else is regression.
    available : bool array ``(B, M)``, or mapping of str to bool array ``(B,)``, optional
        Modalities that a mapping does not name are available throughout.
    group : integer array, shape ``(B,)``, optional
        Subject, video, week: what a split keeps together.
    task : {"classification", "regression", "multilabel"}, optional
        Overrides what the target looks like.
    class_names : sequence of str, optional
    nan : {"error", "missing"}
        What NaN in the features means. ``"missing"``: a row of nothing but NaN lacks the modality,
        a row with some NaN has it recorded in parts. A modality with several fields is there or
        not: it is absent where every field that has NaN at all is nothing but NaN.
    test : bool array, shape ``(B,)``, optional
        Rows set aside as test part.
    padding : mapping of str to bool array, shapes ``(B, L_i)``, optional
        True where the token of a sequence exists.
    dtype : torch.dtype, optional
        Of all floating values; by default each keeps its own.
    allow_empty : bool
        Accept rows without any available modality.

    Returns
    -------
    Batch

    Raises
    ------
    TypeError, ValueError
        As `Batch`; also if `nan` is none of the choices, or arrays hold objects or text.

    Examples
    --------
    >>> batch = from_arrays({"a": [[0.5], [float("nan")]], "b": [[1.0], [2.0]]}, nan="missing")
    >>> batch.available.tolist()
    [[True, True], [False, True]]
    """
    if nan not in ("error", "missing"):
        raise ValueError(f"`nan` must be 'error' or 'missing'; got {nan!r}.")
    if not isinstance(features, Mapping):
        raise TypeError(
            f"`features` must map modality names to arrays; got {type(features).__name__}."
        )
    x = {name: _read(name, values, dtype) for name, values in features.items()}
    gaps = nan_gaps(x) if nan == "missing" else {}
    recorded = recorded_parts(gaps)
    return Batch(
        x,
        lower(_availability(available, x), x, rows_without(gaps)),
        _target(target, task, x, dtype),
        None if group is None else _integers(group, "group"),
        recorded,
        {n: as_tensor(v, f"`padding[{n!r}]`") for n, v in (padding or {}).items()},
        task,
        class_names,
        None if test is None else as_tensor(test, "`test`"),
        allow_empty=allow_empty,
    )


def _read(name: str, values: Any, dtype: torch.dtype | None) -> Any:
    if isinstance(values, Mapping):
        return {
            field: _cast(as_tensor(v, f"Field {field!r} of modality {name!r}"), dtype)
            for field, v in values.items()
        }
    return _cast(as_tensor(values, f"Modality {name!r}"), dtype)


def as_tensor(values: Any, argument: str) -> Tensor:
    """Tensor of an array or nested list, copied; a tensor is handed back as it is.

    Raises
    ------
    TypeError
        If the values are objects, text or of unequal lengths.
    """
    if isinstance(values, Tensor):
        return values.detach()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise TypeError(
            f"{argument} must be an array with rows of equal shape: {error}."
        ) from error
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"{argument} must hold real numbers; got an array of {array.dtype} {array.shape}."
        )
    # torch reads neither foreign byte order nor unsigned integers wider than 8 bits.
    wide = array.dtype.kind == "u" and array.dtype.itemsize > 1
    native = np.int64 if wide else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, dtype=native, order="C"))


def _cast(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    return x.to(dtype) if dtype is not None and x.is_floating_point() else x


def _availability(available: Any, x: Modalities) -> Tensor | None:
    if not isinstance(available, Mapping):
        return None if available is None else as_tensor(available, "`available`")
    unknown = [name for name in available if name not in x]
    if unknown:
        raise ValueError(f"`available` names {unknown}; the modalities are {list(x)}.")
    columns = [
        as_tensor(available[name], f"`available[{name!r}]`")
        if name in available
        else reference(x).new_ones(len(reference(x)), dtype=torch.bool)
        for name in x
    ]
    return torch.stack(columns, 1)


def _target(target: Any, task: str | None, x: Modalities, dtype) -> Tensor | None:
    """Target in the kind of numbers that its task needs: int64 for classes, floating otherwise."""
    if target is None:
        return None
    y = as_tensor(target, "`target`")
    if y.is_floating_point():
        return _cast(y, dtype)
    if y.ndim == 1 and task in (None, "classification"):
        return y.to(torch.int64) if y.dtype != torch.bool else y
    if task is None and not bool(((y == 0) | (y == 1)).all()):
        raise ValueError(
            f"An integer `target` of shape {tuple(y.shape)} is neither classes (shape (rows,)) nor "
            "labels (0 and 1): flatten it, or say `task='regression'`."
        )
    tensors = [v for modality in x.values() for v in tensors_of(modality)]
    floating = [v.dtype for v in tensors if v.is_floating_point()]
    return y.to(dtype or (floating[0] if floating else torch.float32))


def _integers(values: Any, argument: str) -> Tensor:
    tensor = as_tensor(values, f"`{argument}`")
    if tensor.is_floating_point() or tensor.dtype == torch.bool:
        raise TypeError(f"`{argument}` must hold integers; got {tensor.dtype}.")
    return tensor.to(torch.int64)
