"""Evaluation masks by name: any function of `sure_pyro.data.missing`, one block of rows each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sure_pyro.data import Batch
from sure_pyro.data.masked_rows import MaskedRows

Mask = Callable[[Batch, int], Batch]
"""Rows and a seed to the same rows with less available, as in `sure_pyro.data.missing`."""


def named_masks(complete: Batch, masks: Mapping[str, Mask], seed: int) -> MaskedRows:
    """One block of rows for each mask of a dictionary.

    Parameters
    ----------
    complete : Batch
    masks : mapping of str to Callable
        ``(batch, seed) -> batch`` such as ``lambda batch, seed: missing.mcar(batch, 0.3, seed)``.
    seed : int

    Raises
    ------
    ValueError
        If a mask changes the number of rows, or makes something available that was not.
    """
    blocks = [mask(complete, seed) for mask in masks.values()]
    for name, block in zip(masks, blocks, strict=True):
        if len(block) != len(complete) or bool((block.available & ~complete.available).any()):
            raise ValueError(
                f"`masks[{name!r}]` must return the {len(complete)} rows it was given with fewer "
                f"modalities available; it returned {len(block)} rows"
                + (" and made modalities available." if len(block) == len(complete) else ".")
            )
    row = np.tile(np.arange(len(complete)), len(masks))
    hidden = [(complete.available & ~b.available).sum(1).cpu().numpy() for b in blocks]
    names = np.repeat(list(masks), len(complete))
    return MaskedRows(complete, Batch.cat(blocks), np.concatenate(hidden), row, seed, names)
