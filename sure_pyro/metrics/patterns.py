"""Any metric overall and within each mask pattern, as one tidy table.

A mask pattern says which modalities a row has. A number that is right on average over patterns can
be wrong in every one of them, so each metric of this room is worth reading per pattern.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from sure_pyro.metrics import check

if TYPE_CHECKING:
    import pandas as pd

Metric = Callable[..., Any]
Pattern = str | int


@dataclass(frozen=True, eq=False)
class PerPattern:
    """One metric overall and per pattern; ``float(result)`` is the overall value.

    Parameters
    ----------
    overall : float
        The metric on all rows together.
    pattern : ndarray, shape (K,)
        The patterns, sorted.
    value : ndarray, shape (K,)
        The metric on the rows of each pattern; NaN where there are fewer than `minimum_rows`.
    rows : ndarray of int, shape (K,)
        How many rows each value rests on.
    total_rows : int
        How many rows the overall value rests on.
    name : str
        What was measured, for tables and plots.
    """

    overall: float
    pattern: Shaped[np.ndarray, " K"]
    value: Float[np.ndarray, " K"]
    rows: Int[np.ndarray, " K"]
    total_rows: int
    name: str = "value"

    def __float__(self) -> float:
        return float(self.overall)

    def __getitem__(self, pattern: str | int) -> float:
        hit = np.flatnonzero(self.pattern == pattern)
        if len(hit) == 0:
            raise KeyError(f"No rows of pattern {pattern!r}; known: {self.pattern.tolist()}.")
        return float(self.value[hit[0]])

    def to_dataframe(self) -> pd.DataFrame:
        """Give one line per pattern and one, named ``"overall"``, for all rows."""
        import pandas as pd

        return pd.DataFrame(
            {
                "pattern": ["overall", *self.pattern.tolist()],
                self.name: [self.overall, *self.value],
                "rows": [self.total_rows, *self.rows],
            }
        )


def per_pattern(
    metric: Metric,
    *arrays: Shaped[np.ndarray, " _N *_"],
    pattern: Shaped[np.ndarray, " _N"] | None = None,
    minimum_rows: int = 1,
    name: str | None = None,
    **options: Any,
) -> PerPattern:
    """Compute ``metric(*arrays, **options)`` on all rows and on the rows of each pattern.

    Parameters
    ----------
    metric : Callable
        Gives one number, or one score per row, which is then averaged.
    *arrays : ndarray, shape (N, ...)
        What the metric takes; they are sliced together, by row.
    pattern : ndarray of str or int, shape (N,), optional
        None gives the overall value alone.
    minimum_rows : int
        A pattern with fewer rows gets NaN, and still shows how many rows it has.

    Raises
    ------
    ValueError
        If the arrays differ in their number of rows, or there are none.

    Examples
    --------
    >>> error = np.array([1.0, 3.0, 10.0])
    >>> per_pattern(np.mean, error, pattern=np.array(["a", "a", "b"]))["a"]
    2.0
    """
    rows = _number_of_rows(arrays)
    overall = as_number(metric(*arrays, **options))
    label = str(name or getattr(metric, "__name__", "value"))
    if pattern is None:
        nothing = np.zeros(0)
        return PerPattern(overall, nothing, nothing, np.zeros(0, dtype=np.int64), rows, label)
    pattern = check.keys("pattern", pattern, rows)
    names, counts = np.unique(pattern, return_counts=True)
    value = [
        as_number(metric(*(a[pattern == k] for a in arrays), **options))
        if n >= minimum_rows
        else np.nan
        for k, n in zip(names, counts, strict=True)
    ]
    return PerPattern(overall, names, np.array(value), counts, rows, label)


def mask_pattern(
    available: Bool[np.ndarray, "_N _M"], modalities: Sequence[str] | None = None
) -> Shaped[np.ndarray, " N"]:
    """Name the mask pattern of each row: ``"audio+text"``, or ``"nothing"``.

    Parameters
    ----------
    available : bool ndarray, shape (N, M)
        Which modalities each row has.
    modalities : sequence of str, length M, optional
        Their names; without them a pattern is written as ``"101"``.

    Returns
    -------
    ndarray of str, shape (N,)
    """
    a = np.asarray(available)
    if a.ndim != 2 or a.dtype != bool:
        raise ValueError(f"`available` needs bool (N, M); got {a.dtype} {a.shape}.")
    if modalities is None:
        return np.array(["".join("1" if x else "0" for x in row) for row in a], dtype=str)
    if len(modalities) != a.shape[1]:
        raise ValueError(
            f"`modalities` needs {a.shape[1]} names, one per column; got {len(modalities)}."
        )
    seen, which = np.unique(a, axis=0, return_inverse=True)
    words = ["+".join(np.array(modalities)[row]) or "nothing" for row in seen]
    return np.array(words, dtype=str)[which.reshape(-1)]


def rows_by_pattern(pattern: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield each pattern as a plain str or int, with the indices of its rows."""
    names, which = np.unique(pattern, return_inverse=True)
    for k, name in enumerate(names.tolist()):
        yield name, np.flatnonzero(which == k)


def as_number(value: Any) -> float:
    """Average one score per row into one number; a number stays itself."""
    return float(np.mean(value)) if np.ndim(value) > 0 else float(value)


def _number_of_rows(arrays: tuple[np.ndarray, ...]) -> int:
    lengths = [len(a) for a in arrays]
    if not lengths or len(set(lengths)) > 1 or lengths[0] == 0:
        raise ValueError(
            f"The arrays of a metric need one number of rows, at least 1; got {lengths}."
        )
    return lengths[0]
