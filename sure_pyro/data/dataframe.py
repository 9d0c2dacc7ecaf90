"""Batches from a pandas DataFrame: columns are the entries of vector modalities.

A column may have any name that pandas takes: text, a number, a tuple, a label of several levels.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from sure_pyro.data.arrays import from_arrays
from sure_pyro.data.batch import Batch
from sure_pyro.data.narrow import check_floating, narrowed
from sure_pyro.data.reading import read_numbers


def from_dataframe(
    df: pd.DataFrame,
    modalities: Mapping[str, Any],
    target: Hashable | Iterable[Hashable] = None,
    group: Hashable = None,
    *,
    task: str | None = None,
    test: Hashable = None,
    nan: str = "error",
    dtype: torch.dtype = torch.float32,
    allow_empty: bool = False,
) -> Batch:
    """Build a batch from columns.

    Parameters
    ----------
    df : DataFrame
        Its rows are read in order, whatever its index.
    modalities : mapping of str to sequence of column names
        The columns of each modality: shape ``(B, number of columns)``, booleans as 0 and 1. A
        column belongs to one modality, or else hiding one would not hide it.
    target : column name or list of column names, optional
        One column, or several outputs or labels. A column of text, booleans or categories becomes
        classes, with their sorted values (or the order of the categories) as class names; else as
        in `from_arrays`.
    group : column name, optional
        Group ids, of any kind; groups are numbered in sorted order.
    task : {"classification", "regression", "multilabel"}, optional
        As in `from_arrays`.
    test : column name, optional
        True or 1, or the text True or test, for rows set aside as test part.
    nan : {"error", "missing"}
        What NaN and NA in the modality columns mean, as in `from_arrays`.
    dtype : torch.dtype
        Of features and floating targets. Refused where its digits do not suffice for how a column
        varies.
    allow_empty : bool
        Accept rows without any available modality.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If a column is not there, there twice, or in two modalities, if the target is among the
        features, or as in `from_arrays`.
    TypeError
        If `df` is no DataFrame, or a modality has columns that are not numbers.

    Examples
    --------
    >>> df = pd.DataFrame({"height": [1.7, 1.8], "pulse": [60, 75], "kind": ["b", "a"]})
    >>> batch = from_dataframe(df, {"body": ["height"], "heart": ["pulse"]}, target="kind")
    >>> batch.class_names, batch.target.tolist()
    (('a', 'b'), [1, 0])
    """
    check_frame(df)
    check_floating(dtype)
    if not isinstance(modalities, Mapping):
        raise TypeError(
            "`modalities` must map modality names to lists of columns; got "
            f"{type(modalities).__name__}."
        )
    named = {name: _columns(df, columns, name) for name, columns in modalities.items()}
    outputs = _outputs(df, target)
    complete = [*outputs, *(c for c in (group, test) if c is not None)]
    _check_there(df, complete)
    _check_complete(df, complete)
    _check_apart(named, outputs)
    return from_arrays(
        {name: _features(df, name, columns, dtype) for name, columns in named.items()},
        None if target is None else df[target if _is_column(df, target) else outputs],
        group=None if group is None else df[group].factorize(sort=True)[0],
        task=task,
        nan=nan,
        test=None if test is None else df[test],
        dtype=dtype,
        allow_empty=allow_empty,
    )


def check_frame(df: Any) -> None:
    """Raise TypeError unless it is a DataFrame."""
    if not isinstance(df, pd.DataFrame):
        more = " A column alone: `series.to_frame()`." if isinstance(df, pd.Series) else ""
        raise TypeError(f"`df` must be a DataFrame; got {type(df).__name__}.{more}")


def _is_column(df: pd.DataFrame, name: Any) -> bool:
    """Whether this is meant as the name of one column, as a tuple may be, and as no list."""
    if not _hashable(name):
        return False
    return isinstance(name, str) or not isinstance(name, Iterable) or name in df.columns


def _outputs(df: pd.DataFrame, target: Any) -> list[Hashable]:
    if target is None:
        return []
    return [target] if _is_column(df, target) else list(target)


def _hashable(name: Any) -> bool:
    try:
        hash(name)
    except TypeError:
        return False
    return True


def _columns(df: pd.DataFrame, columns: Any, modality: str) -> list[Hashable]:
    if _is_column(df, columns):
        raise ValueError(
            f"`modalities` needs a list of columns for each; {[modality]} got the single "
            f"{columns!r}. Write [{columns!r}]."
        )
    listed = list(columns)
    if not listed:
        raise ValueError(f"Modality {modality!r} has no columns: leave it out, or name some.")
    _check_there(df, listed)
    return listed


def _check_there(df: pd.DataFrame, columns: list[Any]) -> None:
    """Raise ValueError unless each of these is the name of exactly one column."""
    lacking = [c for c in columns if not _hashable(c) or c not in df.columns]
    if lacking:
        raise ValueError(f"The DataFrame has no columns {lacking}; it has {list(df.columns)}.")
    several = [c for c in columns if isinstance(df[c], pd.DataFrame)]
    if several:
        raise ValueError(
            f"{several} name several columns each, of {list(df.columns)}. Rename columns that are "
            "called alike; name columns of several levels in full, as tuples."
        )


def _check_complete(df: pd.DataFrame, columns: list[Hashable]) -> None:
    gaps = [c for c in columns if df[c].isna().any()]
    if gaps:
        raise ValueError(f"Columns {gaps} have missing values; only modalities may have them.")


def _check_apart(named: Mapping[str, list[Hashable]], outputs: list[Hashable]) -> None:
    """Raise ValueError if a column is in two modalities, or the target among the features."""
    uses = Counter(column for columns in named.values() for column in columns)
    twice = [column for column, times in uses.items() if times > 1]
    if twice:
        raise ValueError(
            f"Columns {twice} are named more than once in `modalities`: a column that is in two "
            "modalities would not go missing with one. Copy it under another name if that is meant."
        )
    leaked = [column for column in outputs if column in uses]
    if leaked:
        raise ValueError(
            f"The target {leaked} is among the columns of `modalities`: it would be predicted from "
            "itself. Leave it out there, or copy it under another name if that is meant."
        )


def _features(df: pd.DataFrame, name: str, columns: list[Hashable], dtype: torch.dtype) -> Tensor:
    """Columns side by side, ``(B, number of columns)``, NaN where they have nothing."""
    read = []
    for column in columns:
        words = f"Column {column!r} of modality {name!r}"
        x, gaps = read_numbers(df[column], words)
        known = None if gaps is None else ~gaps
        values = narrowed(x, dtype, words, known)
        read.append(values if gaps is None else values.masked_fill(gaps, float("nan")))
    return torch.stack(read, 1)
