"""Reconstructions of one model, scored: per pair of a row and a modality that was hidden there.

A pair is scored once; a slice then averages the pairs in its rows. Averages over latent entries
count every entry once, so that modalities weigh by their size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int, Shaped

from sure_pyro.evaluation.hidden import Hidden
from sure_pyro.metrics import row_pair
from sure_pyro.metrics.attainable import attainable_by_pattern
from sure_pyro.metrics.registry import LATENTS, PAIRS, compute, compute_scores

METHODS = ("pearson", "spearman")


@dataclass(frozen=True, eq=False)
class Pairs:
    """The P pairs of a row and a hidden modality.

    Parameters
    ----------
    where : ndarray of int, shape (P,)
        Row in the masked batch.
    arrays : dict of ndarray, shapes (P,)
        Of the kind PAIRS of `sure_pyro.metrics.registry`; a pattern is mask and modality.
    scores : dict of ndarray, shapes (P,)
        By metric of the kind LATENTS: mean over the latent entries of the pair.
    """

    where: Int[np.ndarray, " P"]
    arrays: Mapping[str, Shaped[np.ndarray, " P"]]
    scores: Mapping[str, Shaped[np.ndarray, " P"]]

    @classmethod
    def of(
        cls, hidden: Mapping[str, Hidden], pattern: Shaped[np.ndarray, " N"], seed: int
    ) -> Pairs:
        """Score every pair."""
        every = [_score(h, pattern[h.where], name, seed) for name, h in hidden.items()]
        arrays, scores = (
            {key: np.concatenate([part[i][key] for part in every]) for key in every[0][i]}
            if every
            else {}
            for i in (0, 1)
        )
        where = [h.where for h in hidden.values()]
        return cls(np.concatenate(where) if where else np.zeros(0, np.int64), arrays, scores)

    def of_rows(self, rows: Bool[np.ndarray, " N"]) -> dict[str, float]:
        """Metrics of the pairs in the rows chosen; empty where there are none."""
        kept = rows[self.where]
        if not kept.any():
            return {}
        arrays = {key: x[kept] for key, x in self.arrays.items()}
        weight = arrays["weight"]
        means = {n: float(np.average(x[kept], weights=weight)) for n, x in self.scores.items()}
        return means | compute({PAIRS: arrays})


def _score(h: Hidden, pattern: np.ndarray, modality: str, seed: int) -> tuple[dict, dict]:
    residual, variance = h.truth - h.loc, np.square(h.sigma)
    u, e = row_pair(h.sigma, residual)
    attainable = attainable_by_pattern(h.sigma, residual, pattern, methods=METHODS, seed=seed)
    arrays = {
        "variance": u,
        "squared_error": e,
        "u": u,
        "e": e,
        "weight": np.full(len(u), h.truth.shape[1]),
        "pattern": np.array([f"{p} -> {modality}" for p in pattern]),
        "attainable": attainable["pearson"],
        "attainable_spearman": attainable["spearman"],
    }
    latents = {"mean": h.loc, "variance": variance, "target": h.truth}
    return arrays, compute_scores({LATENTS: latents})
