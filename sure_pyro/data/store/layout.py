"""What every row of a store holds: named tensors, their kinds and their shapes.

A row is a piece of each of these tensors, which the shards hold under these names:

===================  ==================  ==========================================================
name                 shape               meaning
===================  ==================  ==========================================================
``values/NAME``      ``(B, L, D)``       latents of a modality; a vector is a sequence of one token
``available/NAME``   bool ``(B, L)``     True where a token exists and was recorded
``padding/NAME``     bool ``(B, L)``     for padded sequences: True where a token exists
``target``           as in `Batch`
``group``            int64 ``(B,)``
``split``            int8 ``(B,)``       position in `SPLITS`, or -1
``source``           int64 ``(B,)``      number of the row in the dataset that was encoded
===================  ==================  ==========================================================
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

SPLITS = ("train", "validation", "test")
VALUES, AVAILABLE, PADDING = "values/", "available/", "padding/"

CODES = {  # names of dtypes in safetensors
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int8: "I8",
    torch.bool: "BOOL",
}
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in CODES}

Tensors = dict[str, Tensor]


class Column(NamedTuple):
    """One tensor of the rows.

    Attributes
    ----------
    dtype : torch.dtype
    shape : tuple of int
        Without the rows.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def bytes_per_row(self) -> int:
        """Size of one row."""
        return math.prod(self.shape) * self.dtype.itemsize


class Layout(NamedTuple):
    """The tensors of all shards of a store.

    Attributes
    ----------
    columns : dict of Column
        By name, the widest dtypes first, so that every tensor in a shard is aligned.
    modalities : tuple of str
        In order.
    sequences : frozenset of str
        Modalities whose latents are sequences (L may still be 1); the others are vectors.
    """

    columns: dict[str, Column]
    modalities: tuple[str, ...]
    sequences: frozenset[str]

    @property
    def bytes_per_row(self) -> int:
        """Size of one row."""
        return sum(column.bytes_per_row for column in self.columns.values())

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """``(L_i, D_i)`` by modality."""
        shapes = {name: self.columns[VALUES + name].shape for name in self.modalities}
        return {name: (shape[0], shape[1]) for name, shape in shapes.items()}

    @classmethod
    def of(cls, rows: Tensors, sequences: frozenset[str]) -> "Layout":
        """Layout of some rows."""
        columns = {name: Column(x.dtype, tuple(x.shape[1:])) for name, x in rows.items()}
        order = sorted(columns, key=lambda name: -columns[name].dtype.itemsize)
        names = tuple(n.removeprefix(VALUES) for n in rows if n.startswith(VALUES))
        return cls({name: columns[name] for name in order}, names, sequences)

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and strings, ready for JSON."""
        columns = {
            name: {"dtype": str(c.dtype).removeprefix("torch."), "shape": list(c.shape)}
            for name, c in self.columns.items()
        }
        return {
            "columns": columns,
            "modalities": list(self.modalities),
            "sequences": sorted(self.sequences),
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> "Layout":
        """Rebuild what `to_dict` gave.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is something else.
        """
        columns = {
            str(name): Column(DTYPES[column["dtype"]], tuple(map(_length, column["shape"])))
            for name, column in state["columns"].items()
        }
        layout = cls(columns, tuple(state["modalities"]), frozenset(state["sequences"]))
        layout.check()
        return layout

    def check(self) -> None:
        """Look that every modality has values ``(L, D)`` and a mask, and every row its number.

        Raises
        ------
        ValueError
            If it is no layout of latents.
        """
        needed = {"source": Column(torch.int64, ())}
        for name in self.modalities:
            values = self.columns.get(VALUES + name)
            if values is None or len(values.shape) != 2 or not values.dtype.is_floating_point:
                raise ValueError(f"modality {name!r:.40} has no values of shape (L, D)")
            needed[AVAILABLE + name] = Column(torch.bool, values.shape[:1])
            if PADDING + name in self.columns:
                needed[PADDING + name] = Column(torch.bool, values.shape[:1])
        for name, dtype in (("group", torch.int64), ("split", torch.int8)):
            if name in self.columns:
                needed[name] = Column(dtype, ())
        wrong = [name for name, column in needed.items() if self.columns.get(name) != column]
        strange = set(self.columns) - set(needed) - {VALUES + name for name in self.modalities}
        wrong += sorted(strange - {"target"})
        if wrong or not self.modalities or not self.sequences <= set(self.modalities):
            raise ValueError(f"its layout is none of latents by modality: {wrong[:5]}")


def _length(n: Any) -> int:
    if type(n) is not int or not 0 < n < 2**40:
        raise ValueError(f"lengths must be positive whole numbers; got {n!r:.40}")
    return n


def differences(expected: Layout, came: Layout) -> list[str]:
    """What differs between two layouts, in words."""
    words = []
    for name in dict.fromkeys([*expected.columns, *came.columns]):
        a, b = expected.columns.get(name), came.columns.get(name)
        if a != b:
            words.append(f"{name}: {_in_words(b)} instead of {_in_words(a)}")
    if expected.modalities != came.modalities and not words:
        words.append(f"modalities {came.modalities} instead of {expected.modalities}")
    return words


def _in_words(column: Column | None) -> str:
    if column is None:
        return "nothing"
    return f"{str(column.dtype).removeprefix('torch.')} {('B', *column.shape)}".replace("'", "")
