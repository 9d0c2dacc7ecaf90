"""Names out of whatever holds them: text, categories, Python objects."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sure_pyro.data.reading import with_none
from sure_pyro.data.validate import rows_in_words

TEXT = (str, bytes)


def names_of(x: Any) -> np.ndarray | None:
    """Entries of an array-like that holds text or categories, as objects; None if it holds neither.

    Nothing is converted: ``[1, "1"]`` stays a number and a text.
    """
    if isinstance(x, Tensor):
        return None
    if isinstance(x, np.ma.MaskedArray):
        return _texts(with_none(x))
    if isinstance(getattr(x, "dtype", None), pd.CategoricalDtype):
        return np.asarray(x, dtype=object)
    if isinstance(x, list | tuple):  # numpy would make one type of them
        return _texts(np.array(x, dtype=object)) if any(isinstance(v, TEXT) for v in x) else None
    if isinstance(getattr(x, "dtype", None), pd.StringDtype):
        return np.asarray(x, dtype=object)
    array = np.asarray(x)
    return _texts(array.astype(object) if array.dtype.kind in "UTS" else array)


def _texts(array: np.ndarray) -> np.ndarray | None:
    if array.dtype.kind != "O" or not any(isinstance(value, TEXT) for value in array.flat):
        return None
    decoded = [v.decode() if isinstance(v, bytes) else v for v in array.flat]  # as HDF5 gives text
    return np.array([*decoded, None], dtype=object)[:-1].reshape(array.shape)


def check_names(names: np.ndarray, argument: str) -> None:
    """Raise unless names are one per row, all there, and of one kind.

    Raises
    ------
    ValueError
        If any is missing, or if they are no column.
    TypeError
        If numbers and texts are mixed: ``1`` and ``"1"`` would become one name.
    """
    if names.ndim != 1:
        raise ValueError(f"{argument} of names must have shape (rows,); got {names.shape}.")
    missing = torch.from_numpy(np.asarray(pd.isna(names)))
    if missing.any():
        raise ValueError(
            f"{argument} has missing values in {rows_in_words(missing)}: leave these rows out."
        )
    kinds = {isinstance(name, str): name for name in names}
    if len(kinds) > 1:
        raise TypeError(
            f"{argument} mixes text and other values, such as {kinds[True]!r} and "
            f"{kinds[False]!r}. Make them all text, or all numbers."
        )
