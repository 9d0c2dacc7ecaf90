"""Held-out rows under many masks: hidden on purpose, so that the truth is known.

`draw_masks` puts every row under one random mask of every size, as the report scores models;
`every_mask` puts it under every mask that it can have, so that each mask pattern is met by as many
rows as possible. Masks are drawn once, by a seed, and are the same for every model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int, Shaped

from sure_pyro.data import missing
from sure_pyro.data.batch import Batch
from sure_pyro.data.evaluation import EvaluationMasks
from sure_pyro.data.patterns import mask_patterns

MOST_MODALITIES = 10
"""Of `every_mask`: 1023 masks of each row."""


@dataclass(frozen=True, eq=False)
class MaskedRows:
    """The rows of one part of the data, each under several masks.

    Parameters
    ----------
    complete : Batch
        The rows as they were recorded, R of them.
    batch : Batch
        The masked rows, N of them. What is truly absent stays absent in all of them.
    hidden : ndarray of int, shape (N,)
        How many modalities are hidden on purpose in each row.
    row : ndarray of int, shape (N,)
        Number of the row in `complete`.
    seed : int
    names : ndarray of str, shape (N,), optional
        Name of each row's mask, where masks have names.
    """

    complete: Batch
    batch: Batch
    hidden: Int[np.ndarray, " N"]
    row: Int[np.ndarray, " N"]
    seed: int
    names: Shaped[np.ndarray, " N"] | None = None

    @property
    def pattern(self) -> np.ndarray:
        """Which modalities are visible, such as ``"image+text"``, (N,)."""
        return np.asarray(mask_patterns(self.batch))

    @property
    def unit(self) -> Int[np.ndarray, " N"]:
        """What a bootstrap draws whole: the group, or the row where there are no groups to draw.

        The blocks of one row are never independent, so rows of `batch` are not drawn singly.
        """
        group = self.complete.group
        if group is None or len(group.unique()) < 2:
            return self.row
        return group.cpu().numpy()[self.row]

    def hidden_on_purpose(self, name: str) -> Int[np.ndarray, " n"]:
        """Rows of `batch` in which a modality was hidden and is known."""
        i = self.complete.modalities.index(name)
        recorded = self.complete.available[:, i].cpu().numpy()[self.row]
        return np.flatnonzero(recorded & ~self.batch.available[:, i].cpu().numpy())

    def mixed(self) -> Int[np.ndarray, " R"]:
        """One row of `batch` for each row of `complete`, the sizes of the masks mixed evenly.

        For what `draw_masks` made.
        """
        R, M = len(self.complete), int(self.hidden.max()) + 1
        size = 1 + np.random.default_rng(self.seed).permutation(R) % max(M - 1, 1)
        return np.minimum(size, M - 1) * R + np.arange(R)

    def take(self, index: Int[np.ndarray, " n"]) -> MaskedRows:
        """Take some of the masked rows, in this order."""
        chosen = torch.from_numpy(index).to(self.batch.available.device)
        names = None if self.names is None else self.names[index]
        return replace(
            self,
            batch=self.batch[chosen],
            hidden=self.hidden[index],
            row=self.row[index],
            names=names,
        )

    def to_save(self) -> EvaluationMasks:
        """What `sure_pyro.data.save_masks` writes; apply it to ``Batch.cat([test] * M)``.

        For what `draw_masks` made.
        """
        M = int(self.hidden.max()) + 1
        words = (
            f"{M} blocks of {len(self.complete)} test rows; in block k = 0..{M - 1} "
            f"missing.hide_exactly(test, k, seed + k)"
        )
        return EvaluationMasks.of(self.batch, self.seed, words)


def draw_masks(complete: Batch, seed: int) -> MaskedRows:
    """Hide k = 0..M-1 modalities of every row, at random which: M blocks of R rows.

    A row that has no more than k modalities keeps one; `hidden` is k all the same.
    """
    R, M = len(complete), len(complete.modalities)
    blocks = [missing.hide_exactly(complete, k, seed + k) for k in range(M)]
    hidden, row = np.repeat(np.arange(M), R), np.tile(np.arange(R), M)
    return MaskedRows(complete, Batch.cat(blocks), hidden, row, seed)


def every_mask(complete: Batch) -> MaskedRows:
    """Show every row with every part of what it has: 2^m - 1 masked rows for m modalities.

    A row and a mask meet once. Within one mask pattern every row is another one, so the rows of a
    pattern are as independent as those of `complete`; two patterns share rows.

    Raises
    ------
    ValueError
        If there are more than 10 modalities.
    """
    M = len(complete.modalities)
    if M > MOST_MODALITIES:
        raise ValueError(
            f"{M} modalities have {2**M - 1} masks, too many for every row: `draw_masks` takes one "
            "of every size."
        )
    shown = torch.tensor([[k >> i & 1 for i in range(M)] for k in range(1, 2**M)]).bool()
    shown = shown[shown.sum(1).argsort(descending=True, stable=True)].to(complete.available.device)
    blocks, rows, hidden = [], [], []
    for keep in shown:
        has = (complete.available | ~keep).all(1).nonzero().flatten()
        part = complete[has]
        blocks.append(part.restrict(keep.expand(len(has), M)))
        rows.append(has)
        hidden.append(part.available.sum(1) - keep.sum())
    k, row = (torch.cat(x).cpu().numpy() for x in (hidden, rows))
    return MaskedRows(complete, Batch.cat(blocks), k, row, seed=0)


def one_mask_each(complete: Batch, seed: int) -> Batch:
    """Put every row under one random mask, all sizes (none hidden included) equally often.

    The rows stay as independent as they were, which a promise over all patterns needs.
    """
    R, M = len(complete), len(complete.modalities)
    size = np.random.default_rng(seed).permutation(R) % M
    return draw_masks(complete, seed).batch[size * R + np.arange(R)]
