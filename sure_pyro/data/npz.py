"""Reader and writer of the canonical ``.npz`` form: one file per dataset, no pickle.

=============== ======================================== ==========================================
array           type                                     meaning
=============== ======================================== ==========================================
modalities      text ``(M,)``                            names of the modality arrays, in order
one per name    float32 or float64 ``(B, *event)``       values; NaN = not recorded: a whole row of
                                                         NaN = the modality is absent
y               integer ``(B,)``, float ``(B,)`` or      classes, regression, or multi-label; may be
                ``(B, C)``, or 0 and 1 ``(B, C)``        left out
split           0 or 1, ``(B,)``                         1 = test; may be left out
group           integer ``(B,)``                         rows that stay together; may be left out
class_names     text ``(K,)``                            may be left out
=============== ======================================== ==========================================

The writer adds ``version`` (1) and, only where the above does not tell, ``task`` (text),
``padding:NAME`` (bool ``(B, L)``, True where a token of the sequence exists) and, for a modality of
integers, which have no NaN, ``available:NAME`` (bool ``(B,)``). A modality with several fields is
``fields:NAME`` (text ``(F,)``), one array ``NAME.FIELD`` for each, and ``available:NAME``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sure_pyro.data.arrays import from_arrays
from sure_pyro.data.batch import Batch
from sure_pyro.data.fields import labelled, worded
from sure_pyro.data.files import Arrays, read_arrays, write_arrays
from sure_pyro.data.names import ARRAYS
from sure_pyro.data.targets import infer_task

VERSION = 1
WIDE = (
    torch.float32,
    torch.float64,
    torch.int8,
    torch.int16,
    torch.int32,
    torch.int64,
    torch.uint8,
    torch.bool,
)
RESERVED = ("y", *ARRAYS)
PADDING, FIELDS, AVAILABLE = "padding:", "fields:", "available:"
BESIDE = (PADDING, FIELDS, AVAILABLE)


def load_npz(path: str | Path, *, allow_empty: bool = False) -> Batch:
    """Read a dataset in the canonical form; NaN becomes availability here.

    Parameters
    ----------
    path : path
    allow_empty : bool
        Accept rows in which every modality is NaN.

    Returns
    -------
    Batch
        With `test` from the array ``split``. float64 stays float64.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If an array has the wrong type, or holds pickled objects.
    ValueError
        If an array is missing or unknown, shapes do not fit, or the version is another one.
    """
    arrays = read_arrays(path)
    _check_version(arrays, path)
    names = _modality_names(arrays, path)
    _check_known(arrays, names, path)
    return from_arrays(
        {name: _features(arrays, name, path) for name in names},
        target=arrays.get("y"),
        available={n: arrays[AVAILABLE + n] for n in names if AVAILABLE + n in arrays},
        group=arrays.get("group"),
        task=str(arrays["task"]) if "task" in arrays else None,
        class_names=_texts(arrays, "class_names", path) if "class_names" in arrays else None,
        nan="missing",
        test=_test_rows(arrays, path),
        padding={n: arrays[PADDING + n] for n in names if PADDING + n in arrays},
        allow_empty=allow_empty,
    )


def save_npz(path: str | Path, batch: Batch) -> None:
    """Write a batch in the canonical form, under a temporary name that is then renamed.

    Parameters
    ----------
    path : path
        Its folder must exist; a file of this name is replaced.
    batch : Batch
        What is missing is written as NaN, or beside integers and fields as a mask.

    Raises
    ------
    ValueError
        If a modality is floating but not float32 or float64, or of integers that are recorded in
        parts.
    """
    arrays: dict[str, Any] = {"modalities": np.array(batch.modalities), "version": VERSION}
    for name in batch.modalities:
        arrays |= _written(batch, name)
    arrays |= {PADDING + name: tokens.cpu().numpy() for name, tokens in batch.padding.items()}
    if batch.target is not None:
        arrays["y"] = _array(batch.target)
    if batch.task is not None and (batch.target is None or infer_task(batch.target) != batch.task):
        arrays["task"] = np.array(batch.task)
    if batch.test is not None:
        arrays["split"] = batch.test.cpu().numpy().astype(np.uint8)
    if batch.group is not None:
        arrays["group"] = batch.group.cpu().numpy()
    if batch.class_names is not None:
        arrays["class_names"] = np.array(batch.class_names)
    write_arrays(path, arrays)


def _written(batch: Batch, name: str) -> dict[str, np.ndarray]:
    """Arrays of a modality: one with NaN, or its fields with a mask beside them."""
    x = batch.features[name]
    available = batch.available[:, batch.modalities.index(name)].cpu().numpy()
    if isinstance(x, Mapping):
        for words, values in worded(name, x).items():
            _check_writable(words, values.dtype in (*WIDE, torch.float16), values.dtype)
        fields = {label: _array(values) for label, values in labelled(name, x).items()}
        return {FIELDS + name: np.array(list(x)), AVAILABLE + name: available, **fields}
    _check_writable(f"Modality {name!r}", x.dtype in WIDE, x.dtype)
    if x.is_floating_point():
        return {name: _array(x.masked_fill(~batch.recorded_entries(name), float("nan")))}
    if name in batch.recorded:
        raise ValueError(
            f"Modality {name!r} holds integers that are recorded in parts, which the form can not "
            "say. Make it floating, or resolve the parts: `resolve_partial(batch, 'absent')`."
        )
    return {name: _array(x), AVAILABLE + name: available}


def _array(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy()


def _check_version(arrays: Arrays, path: str | Path) -> None:
    version = int(arrays.get("version", np.array(VERSION)))
    if version != VERSION:
        raise ValueError(
            f"{path} has version {version} of the form; this release reads version {VERSION}. "
            "A newer sure_pyro wrote it."
        )


def _modality_names(arrays: Arrays, path: str | Path) -> tuple[str, ...]:
    if "modalities" not in arrays:
        raise ValueError(
            f"{path} has no array 'modalities' with the names of the modality arrays; "
            f"it has {list(arrays)}."
        )
    names = _texts(arrays, "modalities", path)
    lacking = [name for name in names if name not in arrays and FIELDS + name not in arrays]
    if lacking:
        raise ValueError(
            f"{path} names the modalities {lacking}, but has no such arrays; it has {list(arrays)}."
        )
    reserved = [name for name in names if name in RESERVED]
    if reserved or len(set(names)) < len(names):
        raise ValueError(
            f"Modality names in {path} must differ, also from {RESERVED}; got {names}."
        )
    return names


def _check_known(arrays: Arrays, names: tuple[str, ...], path: str | Path) -> None:
    beside = {prefix + name for name in names for prefix in BESIDE}
    fields = {f"{n}.{f}" for n in names if FIELDS + n in arrays for f in arrays[FIELDS + n]}
    known = {*RESERVED, *names, *beside, *fields}
    unknown = [name for name in arrays if name not in known]
    if unknown:
        raise ValueError(
            f"{path} has arrays that the form does not know: {unknown}. Known are {RESERVED} and "
            f"the modalities {names}. List them in 'modalities' or leave them out."
        )


def _features(arrays: Arrays, name: str, path: str | Path) -> Any:
    if FIELDS + name in arrays:
        fields = _texts(arrays, FIELDS + name, path)
        lacking = [field for field in fields if f"{name}.{field}" not in arrays]
        if lacking:
            raise ValueError(f"{path} names the fields {lacking} of {name!r}, but has no arrays.")
        return {field: arrays[f"{name}.{field}"] for field in fields}
    x = arrays[name]
    integers = x.dtype.kind in "iu" and AVAILABLE + name in arrays
    if not integers and (x.dtype.kind != "f" or x.dtype.itemsize not in (4, 8)):
        raise TypeError(
            f"Modality {name!r} in {path} must be float32 or float64; got {x.dtype}. "
            "Convert it: x.astype('float32')."
        )
    return x


def _texts(arrays: Arrays, key: str, path: str | Path) -> tuple[str, ...]:
    if arrays[key].dtype.kind != "U" or arrays[key].ndim != 1:
        raise TypeError(
            f"{key!r} in {path} must be a one-dimensional array of text; got {arrays[key].dtype}, "
            f"shape {arrays[key].shape}."
        )
    return tuple(str(text) for text in arrays[key])


def _test_rows(arrays: Arrays, path: str | Path) -> np.ndarray | None:
    if "split" not in arrays:
        return None
    split = arrays["split"]
    if split.dtype.kind not in "iub" or not np.isin(split, (0, 1)).all():
        raise ValueError(
            f"'split' in {path} must hold 0 (train) and 1 (test) only; got {split.dtype} with "
            f"{np.unique(split)[:5].tolist()}."
        )
    return split.astype(bool)


def _check_writable(words: str, writable: bool, dtype: torch.dtype) -> None:
    if not writable:
        raise ValueError(
            f"{words} is {dtype}; only float32, float64 and integers can be written. "
            "Convert it: `batch.to(torch.float32)`."
        )
