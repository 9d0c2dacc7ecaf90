"""The parts of an evaluation that get a line of their own: all masks, each size, each pattern."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool

from sure_pyro.data.masked_rows import MaskedRows

OVERALL, RANDOM = "overall", "random"
KINDS = (OVERALL, "hidden", "pattern", "mask")


def slices(masked: MaskedRows) -> Iterator[tuple[str, str, Bool[np.ndarray, " N"]]]:
    """Kind, name and rows of every slice.

    Yields
    ------
    kind, name : str
        ``("overall", "overall")``: all rows in which something is hidden on purpose, or all rows
        where nothing is. ``("hidden", "k")``: k modalities hidden. ``("pattern", "image+text")``:
        what is visible. ``("mask", name)``: by the name of the mask, where masks have names.
    rows : bool ndarray, shape (N,)
    """
    something = masked.hidden > 0
    yield OVERALL, OVERALL, something if something.any() else ~something
    for k in np.unique(masked.hidden):
        yield "hidden", str(k), masked.hidden == k
    pattern = masked.pattern
    for name in np.unique(pattern):
        yield "pattern", str(name), pattern == name
    for name in dict.fromkeys(masked.names.tolist()) if masked.names is not None else ():
        yield "mask", str(name), masked.names == name


def hidden_slices(masked: MaskedRows) -> dict[str, Bool[np.ndarray, " N"]]:
    """Rows of each size of the mask, and, as ``"random"``, of all that hide something."""
    sizes = {str(k): masked.hidden == k for k in range(int(masked.hidden.max()) + 1)}
    return {**sizes, RANDOM: masked.hidden > 0}
