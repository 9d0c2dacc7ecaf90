"""The evaluation masks: every test row under a random mask of every size, drawn once.

All models of a report are scored on the same masks, which are saved with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from sure_pyro.data import Batch, EvaluationMasks, mask_patterns, missing

RANDOM = "random"


@dataclass(frozen=True, eq=False)
class MaskedRows:
    """Blocks of the rows of one part of the data; block k has k modalities hidden in every row.

    Parameters
    ----------
    complete : Batch
        The rows as they were recorded, R of them.
    batch : Batch
        All blocks, N = M * R rows. What is truly absent stays absent in all of them.
    hidden : ndarray of int, shape (N,)
        k of each row. A row that has no more than k modalities keeps one.
    seed : int
    """

    complete: Batch
    batch: Batch
    hidden: Int[np.ndarray, " N"]
    seed: int

    @property
    def row(self) -> Int[np.ndarray, " N"]:
        """Number of the row in `complete`."""
        return np.arange(len(self.batch)) % len(self.complete)

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

    def slices(self) -> dict[str, Bool[np.ndarray, " N"]]:
        """Rows of each size of the mask, and of all that hide something."""
        sizes = {str(k): self.hidden == k for k in range(int(self.hidden.max()) + 1)}
        return {**sizes, RANDOM: self.hidden > 0}

    def hidden_on_purpose(self, name: str) -> Int[np.ndarray, " n"]:
        """Rows of `batch` in which a modality was hidden and is known."""
        i = self.complete.modalities.index(name)
        recorded = self.complete.available[:, i].cpu().numpy()[self.row]
        return np.flatnonzero(recorded & ~self.batch.available[:, i].cpu().numpy())

    def mixed(self) -> Int[np.ndarray, " R"]:
        """One row of `batch` for each row of `complete`, the sizes of the masks mixed evenly."""
        R, M = len(self.complete), int(self.hidden.max()) + 1
        size = 1 + np.random.default_rng(self.seed).permutation(R) % max(M - 1, 1)
        return np.minimum(size, M - 1) * R + np.arange(R)

    def to_save(self) -> EvaluationMasks:
        """What `sure_pyro.data.save_masks` writes; apply it to ``Batch.cat([test] * M)``."""
        M = int(self.hidden.max()) + 1
        words = (
            f"{M} blocks of {len(self.complete)} test rows; in block k = 0..{M - 1} "
            f"missing.hide_exactly(test, k, seed + k)"
        )
        return EvaluationMasks.of(self.batch, self.seed, words)


def draw_masks(complete: Batch, seed: int) -> MaskedRows:
    """Hide k = 0..M-1 modalities of every row, at random which."""
    M = len(complete.modalities)
    blocks = [missing.hide_exactly(complete, k, seed + k) for k in range(M)]
    hidden = np.repeat(np.arange(M), len(complete))
    return MaskedRows(complete, Batch.cat(blocks), hidden, seed)
