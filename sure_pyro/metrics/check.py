"""Checks at the public door of this room: shapes, finite values, patterns, levels.

Every number is computed in float64, whatever came in: sums over many rows of squared errors lose
digits in float32, and these arrays are small.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

INSIDE = ("sure_pyro", "jaxtyping", "beartype")
"""Packages whose frames no warning is about: this one, and what checks its shapes in the tests."""


def warn_caller(message: str) -> None:
    """Warn about the line outside this package that led here."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] in INSIDE:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def numbers(name: str, value: Any, ndim: tuple[int, ...] = (1,)) -> np.ndarray:
    """Float64 copy of `value`: finite, not empty, with one of the allowed numbers of axes."""
    array = np.asarray(value)
    if array.ndim not in ndim:
        axes = " or ".join(str(d) for d in ndim)
        raise ValueError(f"`{name}` needs {axes} axes; got shape {array.shape}.")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` needs numbers; got dtype {array.dtype}.")
    if array.size == 0:
        raise ValueError(f"`{name}` is empty, shape {array.shape}: there is nothing to compute on.")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        bad = np.unique(np.argwhere(~np.isfinite(array))[:, 0])
        raise ValueError(
            f"`{name}` has NaN or infinity in {len(bad)} rows (first: {bad[:5].tolist()}); "
            "leave out rows whose value is not known."
        )
    return array


def alike(values: Mapping[str, Any], ndim: tuple[int, ...] = (1,)) -> tuple[np.ndarray, ...]:
    """Check several arrays of numbers and that they have one shape."""
    arrays = {name: numbers(name, value, ndim) for name, value in values.items()}
    shapes = {name: a.shape for name, a in arrays.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"`{name}` {shape}" for name, shape in shapes.items())
        raise ValueError(f"Expected arrays of one shape; got {listed}.")
    return tuple(arrays.values())


def not_negative(name: str, array: np.ndarray) -> np.ndarray:
    """Check that no entry is negative."""
    if (array < 0).any():
        raise ValueError(
            f"`{name}` must be non-negative; its minimum is {array.min():.3g}. "
            "If this is a log-variance, pass its exponential."
        )
    return array


def positive(name: str, array: np.ndarray) -> np.ndarray:
    """Check that every entry is above zero."""
    if (array <= 0).any():
        raise ValueError(f"`{name}` must be above zero; its minimum is {array.min():.3g}.")
    return array


def keys(name: str, value: Any, rows: int) -> np.ndarray:
    """Check one string or integer per row: mask patterns, groups, labels."""
    array = np.asarray(value)
    if array.ndim != 1 or len(array) != rows:
        raise ValueError(f"`{name}` needs shape ({rows},), one per row; got {array.shape}.")
    if array.dtype.kind not in "iubUSO":
        raise TypeError(f"`{name}` needs strings or integers; got dtype {array.dtype}.")
    return array.astype(str) if array.dtype.kind in "SO" else array


def rows_and_groups(row: Any, groups: Any, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Check which entries are one row, by default none, and which rows err together: likewise."""
    row = np.arange(rows) if row is None else keys("row", row, rows)
    return row, row if groups is None else keys("groups", groups, rows)


def labels(name: str, value: Any, rows: int, classes: int) -> np.ndarray:
    """Check class labels in 0..classes-1, one per row."""
    array = np.asarray(value)
    if array.shape != (rows,):
        raise ValueError(f"`{name}` needs shape ({rows},), one class per row; got {array.shape}.")
    if array.dtype.kind not in "iub":
        raise TypeError(f"`{name}` needs integer classes; got dtype {array.dtype}.")
    if array.min() < 0 or array.max() >= classes:
        raise ValueError(
            f"`{name}` must lie in 0..{classes - 1}; got {array.min()} to {array.max()}."
        )
    return array.astype(np.int64)


def probabilities(name: str, value: Any) -> np.ndarray:
    """Check class probabilities (N, C): in [0, 1], each row summing to one."""
    array = unit(name, value, ndim=(2,))
    total = array.sum(1)
    if not np.allclose(total, 1, atol=1e-3):
        row = int(np.abs(total - 1).argmax())
        raise ValueError(
            f"Each row of `{name}` must sum to 1; row {row} sums to {total[row]:.4g}. "
            "If these are logits, pass their softmax."
        )
    return array


def unit(name: str, value: Any, ndim: tuple[int, ...] = (1, 2)) -> np.ndarray:
    """Check numbers in [0, 1]."""
    array = numbers(name, value, ndim)
    if array.min() < -1e-6 or array.max() > 1 + 1e-6:
        raise ValueError(
            f"`{name}` must lie in [0, 1]; got {array.min():.3g} to {array.max():.3g}."
        )
    return array.clip(0, 1)


def fraction(name: str, value: float) -> float:
    """Check one number strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ValueError(f"`{name}` must lie strictly between 0 and 1; got {value}.")
    return float(value)


def choice(name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Check one of the allowed words."""
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {list(allowed)}; got {value!r}.")
    return value


def at_least(name: str, value: int, lowest: int) -> int:
    """Check a whole number that has a lowest sensible value."""
    if value < lowest:
        raise ValueError(f"`{name}` must be at least {lowest}; got {value}.")
    return int(value)


def known_kind(name: str, value: Any, rows: int, known: Mapping[Any, Any]) -> np.ndarray:
    """Check patterns to look up: strings where strings were fitted, integers where integers."""
    array = keys(name, value, rows)
    fitted = {type(key) for key in known}
    if fitted and isinstance(array[:1].tolist()[0], str) != (str in fitted):
        raise TypeError(
            f"`{name}` has dtype {array.dtype}, but the fit knows patterns such as "
            f"{next(iter(known))!r}; every row would count as never seen."
        )
    return array
