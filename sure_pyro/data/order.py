"""Rows are read in order: pandas objects that say otherwise by their index are refused."""

from collections.abc import Mapping
from typing import Any

import pandas as pd


def check_order(arguments: Mapping[str, Any], features: Any) -> None:
    """Compare the index of whatever has one with that of the first.

    Raises
    ------
    ValueError
        If two have the same labels in different orders: their rows would be mixed up.
    """
    named = dict(features) if isinstance(features, Mapping) else {}
    flat = {k: v for k, v in named.items() if not isinstance(v, Mapping)}
    for name, modality in named.items():
        if isinstance(modality, Mapping):
            flat |= {f"{name}.{field}": v for field, v in modality.items()}
    indexed = {
        name: x.index
        for name, x in {**flat, **arguments}.items()
        if isinstance(x, pd.Series | pd.DataFrame)
    }
    first = next(iter(indexed), None)
    for name, index in indexed.items():
        if _other_order(indexed[first], index):
            raise ValueError(
                f"Rows are read in order, but the index of {name!r} has the labels of {first!r} in "
                f"another order. Bring them into one: `x.loc[other.index]`, or "
                "`x.reset_index(drop=True)` if the index means nothing."
            )


def _other_order(a: pd.Index, b: pd.Index) -> bool:
    if len(a) != len(b) or a.equals(b) or not (a.is_unique and b.is_unique):
        return False
    return bool(a.isin(b).all())
