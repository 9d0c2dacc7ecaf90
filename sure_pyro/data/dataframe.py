"""Batches from a pandas DataFrame: columns are the entries of vector modalities."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from sure_pyro.data.arrays import from_arrays
from sure_pyro.data.batch import Batch


def from_dataframe(
    df: pd.DataFrame,
    modalities: Mapping[str, Sequence[str]],
    target: str | Sequence[str] | None = None,
    group: str | None = None,
    *,
    task: str | None = None,
    test: str | None = None,
    nan: str = "error",
    dtype: torch.dtype = torch.float32,
    allow_empty: bool = False,
) -> Batch:
    """Build a batch from columns.

    Parameters
    ----------
    df : DataFrame
    modalities : mapping of str to sequence of str
        The columns of each modality: shape ``(B, number of columns)``.
    target : str or sequence of str, optional
        One column, or several outputs or labels. A column of text, booleans or categories becomes
        classes, with their sorted values (or the order of the categories) as class names.
    group : str, optional
        Column of group ids, of any kind; groups are numbered in sorted order.
    task : {"classification", "regression", "multilabel"}, optional
    test : str, optional
        Column that is True (or 1) for rows set aside as test part.
    nan : {"error", "missing"}
        What NaN in the modality columns means, as in `from_arrays`.
    dtype : torch.dtype
        Of features and floating targets.
    allow_empty : bool
        Accept rows without any available modality.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If a column is not there, or as in `from_arrays`.
    TypeError
        If a modality has columns that are not numbers.

    Examples
    --------
    >>> df = pd.DataFrame({"height": [1.7, 1.8], "pulse": [60, 75], "kind": ["b", "a"]})
    >>> batch = from_dataframe(df, {"body": ["height"], "heart": ["pulse"]}, target="kind")
    >>> batch.class_names, batch.target.tolist()
    (('a', 'b'), [1, 0])
    """
    _check_columns(df, modalities, target, group, test)
    features = {name: _numbers(df, name, list(columns)) for name, columns in modalities.items()}
    y, class_names = (None, None) if target is None else _target(df, target)
    return from_arrays(
        features,
        y,
        group=None if group is None else df[group].factorize(sort=True)[0],
        task=task,
        class_names=class_names,
        nan=nan,
        test=None if test is None else df[test].to_numpy().astype(bool),
        dtype=dtype,
        allow_empty=allow_empty,
    )


def _check_columns(df: pd.DataFrame, modalities: Mapping, target, group, test) -> None:
    outputs = [target] if isinstance(target, str) or target is None else list(target)
    text = [name for name, columns in modalities.items() if isinstance(columns, str)]
    if text:
        raise ValueError(
            f"`modalities` needs a list of columns for each; {text} got a single text."
        )
    named = [c for columns in modalities.values() for c in columns] + [*outputs, group, test]
    lacking = [c for c in named if c is not None and c not in df.columns]
    if lacking:
        raise ValueError(f"The DataFrame has no columns {lacking}; it has {list(df.columns)}.")
    gaps = [c for c in [*outputs, group, test] if c is not None and df[c].isna().any()]
    if gaps:
        raise ValueError(f"Columns {gaps} have missing values; only modalities may have them.")


def _numbers(df: pd.DataFrame, name: str, columns: list[str]) -> Any:
    wrong = [c for c in columns if not pd.api.types.is_numeric_dtype(df[c])]
    if wrong:
        raise TypeError(f"Columns {wrong} of modality {name!r} are not numbers: encode them first.")
    return df[columns].to_numpy(dtype="float64", na_value=float("nan"))


def _target(df: pd.DataFrame, target: str | Sequence[str]) -> tuple[Any, list[str] | None]:
    if not isinstance(target, str):
        return df[list(target)].to_numpy(), None
    y = df[target]
    if pd.api.types.is_numeric_dtype(y) and not pd.api.types.is_bool_dtype(y):
        return y.to_numpy(), None
    classes = y.astype("category").cat
    return classes.codes.to_numpy(), [str(name) for name in classes.categories]
