"""Numbers out of whatever holds them: arrays, masked arrays, pandas, xarray, tensors, nested lists.

Values come out with a mask of what the source itself marks as missing (a masked array, ``pd.NA``,
``None``); NaN stays NaN. Nothing that is no number becomes one: text, dates, categories and objects
are refused by name.
"""

from decimal import Decimal
from functools import reduce
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Shaped
from torch import Tensor

from sure_pyro.data.masks import any_in_row
from sure_pyro.data.validate import rows_in_words

COLUMNS = (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)
TEXT = "text. Convert it if it spells numbers, as pd.to_numeric(x) does; else encode it"
REFUSED = {
    "M": "dates, which have no unit of their own. Convert them, for instance into seconds: "
    "(x - x.min()) / np.timedelta64(1, 's')",
    "m": "time spans, which have no unit of their own. Convert them, for instance into seconds: "
    "x / np.timedelta64(1, 's')",
    "U": TEXT,
    "S": TEXT,
    "T": TEXT,
    "c": "complex numbers. Give real and imaginary parts as entries of their own",
    "V": "records. Give every column as an entry of its own",
}


class Numbers(NamedTuple):
    """Values, and where the source marks them as missing; None where it marks nothing."""

    values: Shaped[Tensor, "..."]
    gaps: Bool[Tensor, "..."] | None = None


def read_numbers(x: Any, argument: str) -> Numbers:
    """Real numbers of an array-like; an array is copied, a tensor is handed back detached.

    Parameters
    ----------
    x : Tensor, ndarray, masked array, pandas or xarray object, or nested list of such or of numbers
    argument : str
        How errors call it.

    Raises
    ------
    TypeError
        If it holds anything but real numbers, or rows of different shapes.
    ValueError
        If integers do not fit into 64 bits.
    """
    if isinstance(x, Tensor):
        return Numbers(_dense(x, argument).detach())
    if isinstance(x, list | tuple) and holds_arrays(x):
        return _stacked([read_numbers(entry, argument) for entry in x], argument)
    values, gaps = _as_array(x, argument)
    return Numbers(
        _as_tensor(values, argument), None if gaps is None else torch.from_numpy(np.array(gaps))
    )


def read_complete(x: Any, argument: str) -> Tensor:
    """Real numbers of which none may be marked as missing.

    Raises
    ------
    TypeError
        As `read_numbers`.
    ValueError
        If values are masked, NA or None; and as `read_numbers`.
    """
    values, gaps = read_numbers(x, argument)
    if gaps is not None and gaps.any():
        rows = any_in_row(torch.atleast_1d(gaps))
        raise ValueError(
            f"{argument} has missing values (masked, NA or None) in {rows_in_words(rows)}; only "
            "features may have them. Leave these rows out."
        )
    return values


def holds_arrays(x: Any) -> bool:
    """Whether a list holds arrays, tensors or columns, at any depth, and not only plain numbers."""
    if not isinstance(x, list | tuple):
        return isinstance(x, Tensor) or (hasattr(x, "__array__") and not isinstance(x, np.generic))
    kinds = {type(entry): entry for entry in x}  # one of each type is enough, but for lists
    return any(
        any(map(holds_arrays, x)) if issubclass(kind, list | tuple) else holds_arrays(one)
        for kind, one in kinds.items()
    )


def common_dtype(dtypes: list[torch.dtype]) -> torch.dtype:
    """Dtype that holds them all; wide integers beside floating values ask for float64."""
    found = reduce(torch.promote_types, dtypes)
    wide = {torch.int32, torch.int64} & set(dtypes)
    return torch.float64 if wide and found.is_floating_point else found


def _dense(x: Tensor, argument: str) -> Tensor:
    if x.layout != torch.strided or x.is_nested or x.is_quantized:
        raise TypeError(
            f"{argument} must be an ordinary dense tensor; got a "
            f"{'quantized' if x.is_quantized else 'nested' if x.is_nested else 'sparse'} one. "
            "Convert it: `x.to_dense()`, `x.dequantize()`, or `list(x.unbind())`."
        )
    return x


def _stacked(entries: list[Numbers], argument: str) -> Numbers:
    shapes = {tuple(values.shape) for values, _ in entries}
    if len(shapes) > 1:
        raise TypeError(
            f"{argument} must be an array with rows of equal shape; the shapes of its rows are "
            f"{sorted(shapes)[:4]}."
        )
    dtype = common_dtype([values.dtype for values, _ in entries])
    stacked = torch.stack([values.to(dtype) for values, _ in entries])
    if all(gaps is None for _, gaps in entries):
        return Numbers(stacked)
    known = [torch.zeros_like(v, dtype=torch.bool) if g is None else g for v, g in entries]
    return Numbers(stacked, torch.stack(known))


Array = tuple[np.ndarray, np.ndarray | None]


def _as_array(x: Any, argument: str) -> Array:
    """Array of real numbers and its gaps."""
    if isinstance(x, pd.DataFrame):
        return _from_frame(x, argument)
    if isinstance(x, COLUMNS):
        return _from_column(x, argument)
    if isinstance(x, np.ma.MaskedArray):
        return _from_masked(x, argument)
    if hasattr(x, "toarray"):
        raise TypeError(f"{argument} is sparse. Make it dense: `x.toarray()`.")
    try:
        return _from_array(np.asarray(x), argument)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
        raise TypeError(
            f"{argument} must be an array with rows of equal shape: {error}."
        ) from error


def _from_array(array: np.ndarray, argument: str) -> Array:
    if array.dtype.kind == "O":
        return _from_objects(array, argument)
    if array.dtype.kind not in "fiub":
        raise _no_numbers(argument, array.dtype, array.dtype.kind)
    return array, None


def _no_numbers(argument: str, dtype: Any, kind: str) -> TypeError:
    what = REFUSED.get(kind, "something else")
    return TypeError(f"{argument} must hold real numbers; got {dtype}: {what}.")


def _from_masked(x: np.ma.MaskedArray, argument: str) -> Array:
    mask, data = np.ma.getmaskarray(x), np.ma.getdata(x)
    if data.dtype.kind == "O":
        data = with_none(x)
    elif data.dtype.kind in "fiub":  # what lies under the mask may be anything
        data = np.where(mask, np.zeros((), data.dtype), data)
    values, gaps = _from_array(data, argument)
    return values, mask if gaps is None else mask | gaps


def with_none(x: np.ma.MaskedArray) -> np.ndarray:
    """Entries of a masked array as objects, None where they are masked."""
    objects = np.ma.getdata(x).astype(object)
    objects[np.ma.getmaskarray(x)] = None
    return objects


def _from_frame(frame: pd.DataFrame, argument: str) -> Array:
    if frame.shape[1] == 0:
        raise TypeError(f"{argument} is a DataFrame without columns.")
    columns = [
        _from_column(frame.iloc[:, k], f"{argument}, column {name!r},")
        for k, name in enumerate(frame.columns)
    ]
    values = np.stack([v for v, _ in columns], 1)
    for k, (column, _) in enumerate(columns):
        if column.dtype.kind in "iu" and not np.array_equal(values[:, k].astype(int), column):
            raise ValueError(
                f"{argument}, column {frame.columns[k]!r}, holds integers that lose digits beside "
                "the floating columns. Subtract an offset, such as the smallest."
            )
    if all(gaps is None for _, gaps in columns):
        return values, None
    known = [np.zeros(len(v), bool) if g is None else g for v, g in columns]
    return values, np.stack(known, 1)


def _from_column(x: Any, argument: str) -> Array:
    """Values of a pandas column; what a nullable type marks as NA is a gap."""
    dtype = x.dtype
    if isinstance(dtype, np.dtype | pd.SparseDtype):
        return _from_array(np.asarray(x), argument)
    kind = "U" if isinstance(dtype, pd.StringDtype) else dtype.kind
    kind = "M" if isinstance(dtype, pd.PeriodDtype) else kind
    if isinstance(dtype, pd.CategoricalDtype):
        raise TypeError(
            f"{argument} must hold real numbers; got categories. Say what number each has: "
            "x.astype(float) if they are numbers, pd.get_dummies(x) if they are names."
        )
    if kind == "O":
        return _from_objects(np.asarray(x, dtype=object), argument)
    if kind not in "fiub":
        raise _no_numbers(argument, dtype, kind)
    native = np.dtype(bool if kind == "b" else f"{kind}{dtype.itemsize}")
    gaps = np.asarray(pd.isna(x))
    values = pd.Series(x).to_numpy(dtype=native, na_value=native.type(0))
    return values, gaps if gaps.any() else None


def _from_objects(array: np.ndarray, argument: str) -> Array:
    """Numbers that came as Python objects; None and ``pd.NA`` are gaps."""
    gaps = np.asarray(pd.isna(array))
    known = array[~gaps]
    kinds = {_kind(value) for value in known} or {float}
    kinds = {float} if kinds == {int, float} else kinds
    if len(kinds) > 1 or not kinds <= {bool, int, float}:
        odd = next(value for value in known if _kind(value) not in (int, float))
        raise TypeError(
            f"{argument} must hold real numbers; got an array of objects, among them {odd!r} "
            f"({type(odd).__name__}). Convert them: x.astype(float), or pd.to_numeric(x)."
        )
    dtype = {bool: np.dtype(bool), int: np.dtype(np.int64)}.get(kinds.pop(), np.dtype(float))
    values = np.zeros(array.shape, dtype)
    try:
        values[~gaps] = known
    except OverflowError as error:
        raise ValueError(f"{argument} holds integers of more than 64 bits: {error}.") from error
    return values, gaps if gaps.any() else None


def _kind(value: Any) -> type:
    if isinstance(value, bool | np.bool_):
        return bool
    if isinstance(value, Integral):
        return int
    return float if isinstance(value, Real | Decimal) else type(value)


def _as_tensor(array: np.ndarray, argument: str) -> Tensor:
    """Copy of an array; torch reads neither foreign byte order nor unsigned integers but bytes."""
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        raise TypeError(f"{argument} is {array.dtype}, which torch lacks: x.astype('float64').")
    wide = array.dtype.kind == "u" and array.dtype.itemsize > 1
    if wide and array.size and array.max() > np.iinfo(np.int64).max:
        raise ValueError(f"{argument} holds {array.max()}, more than a 64-bit integer with a sign.")
    native = np.int64 if wide else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, dtype=native, order="C"))
