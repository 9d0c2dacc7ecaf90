"""Which held-out rows a calibration is fitted on, under which masks, and which err together."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int

from sure_pyro.data import Batch, draw_masks, every_mask
from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.evaluation.arrays import as_array

MASKS = ("every", "random", "recorded")
FEW_MODALITIES = 6
"""Up to here every row is put under every mask that it can have (63 of them)."""


def held_out(
    validation: Batch,
    masks: str | None,
    seed: int,
    targets: bool = True,
    name: str = "validation",
) -> MaskedRows:
    """Put held-out rows under masks.

    Parameters
    ----------
    validation : Batch
    masks : {"every", "random", "recorded"}, optional
        Every row under every mask that it can have; under one random mask of every size; or as it
        was recorded. None: ``"every"`` up to 6 modalities, else ``"random"``.
    seed : int
        Of random masks.
    targets : bool
        Whether they are needed.
    name : str
        Of the rows, in the message.

    Raises
    ------
    ValueError
        If there are no targets where they are needed, or `masks` is none of the choices.
    """
    if targets and validation.target is None:
        raise ValueError(f"`{name}` has no targets: there is nothing to calibrate on.")
    if masks is None:
        masks = "every" if len(validation.modalities) <= FEW_MODALITIES else "random"
    if masks == "every":
        return every_mask(validation)
    if masks == "random":
        return draw_masks(validation, seed)
    if masks == "recorded":
        R = len(validation)
        return MaskedRows(validation, validation, np.zeros(R, np.int64), np.arange(R), seed)
    raise ValueError(f"`masks` must be one of {list(MASKS)} or None; got {masks!r}.")


def held_out_in_order(
    batch: Batch, masks: str | None, seed: int, updated_rows: int, targets: bool = True
) -> MaskedRows:
    """Put rows of an online update under masks as `held_out` does, and keep their order of time.

    Random masks are others for every number of `updated_rows` before. No row comes twice under one
    mask: a row that lacks something can hide less.

    Raises
    ------
    ValueError
        As `held_out`, or if there are no rows.
    """
    if not len(batch):
        raise ValueError("`batch` has no rows: there is no outcome to update with.")
    seed += updated_rows * len(batch.modalities)  # masks of k hidden modalities take the seed + k
    masked = held_out(batch, masks, seed, targets, name="batch")
    names, which = np.unique(masked.pattern, return_inverse=True)
    _, first = np.unique(masked.row * len(names) + which, return_index=True)
    return masked.take(first)


def sampling_options(propagate: str, num_samples: int, seed: int) -> dict[str, int]:
    """Options of `predict` that a method takes: sampling has draws and a seed, the others none."""
    return {"num_samples": num_samples, "seed": seed} if propagate in ("sampling", "both") else {}


def target_array(masked: MaskedRows, task: str) -> np.ndarray:
    """Targets of rows under masks: classes (N,), labels or values (N, C)."""
    assert masked.batch.target is not None
    y = as_array(masked.batch.target)
    return y.reshape(len(y), -1).astype(np.float64) if task == "regression" else y


def one_row_each(validation: Batch, seed: int) -> Batch:
    """Take one random row of every group; all rows where there are no groups."""
    if validation.group is None:
        return validation
    order = np.random.default_rng(seed).permutation(len(validation))
    _, first = np.unique(validation.group.cpu().numpy()[order], return_index=True)
    return validation[torch.from_numpy(np.sort(order[first]))]


def groups_of(batch: Batch) -> Int[np.ndarray, " B"]:
    """Which rows err together: those of a group; where there are no groups, each with itself."""
    return np.arange(len(batch)) if batch.group is None else batch.group.cpu().numpy()


def masked_groups(masked: MaskedRows, new_groups: bool = True) -> Int[np.ndarray, " N"]:
    """Which rows under masks err together: those of a group, or at least those that are one row.

    With `new_groups` false, rows to come are of the groups that are here, and each is by itself.
    """
    return groups_of(masked.complete)[masked.row] if new_groups else masked.row
