"""How good the reconstructions of one model are, and how right their uncertainty: per slice.

Every pair (row, hidden modality) is scored once; a slice then averages the pairs in its rows.
Averages over latent entries count every entry once, so that modalities weigh by their size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from sure_pyro.calibrated.hidden import MINIMUM_ROWS, Hidden
from sure_pyro.calibration import (
    attainable_correlation,
    ause,
    central_interval,
    ence,
    gaussian_crps,
    gaussian_nll,
    row_pair,
    uce,
    within_pattern_correlation,
)
from sure_pyro.compare.metrics import LEVEL

REPETITIONS = 25
"""Simulations of the attainable correlation in each cell; their mean is then off by about
1 / sqrt(25 n) for a cell of n rows, a fifth of what one correlation of n rows scatters."""

METHODS = {"correlation": "pearson", "spearman": "spearman"}


@dataclass(frozen=True, eq=False)
class HiddenScores:
    """Scores of the P pairs (row, hidden modality), ready to be averaged over slices.

    Parameters
    ----------
    where : ndarray of int, shape (P,)
        Row in the masked batch.
    u, e, nll, crps, covered, width : ndarray, shape (P,)
        Mean over the latent entries of variance, squared error and so on.
    entries : ndarray of int, shape (P,)
        How many latent entries a pair has.
    pattern, target : ndarray of str, shape (P,)
        Mask and modality: together the cell within which is correlated.
    attainable : dict of ndarray, shapes (P,)
        By method, the attainable correlation of the pair's cell; NaN in cells too small to count.
    """

    where: Int[np.ndarray, " P"]
    u: Float[np.ndarray, " P"]
    e: Float[np.ndarray, " P"]
    nll: Float[np.ndarray, " P"]
    crps: Float[np.ndarray, " P"]
    covered: Float[np.ndarray, " P"]
    width: Float[np.ndarray, " P"]
    entries: Int[np.ndarray, " P"]
    pattern: Shaped[np.ndarray, " P"]
    target: Shaped[np.ndarray, " P"]
    attainable: Mapping[str, Float[np.ndarray, " P"]]

    @classmethod
    def of(
        cls, hidden: Mapping[str, Hidden], pattern: Shaped[np.ndarray, " N"], seed: int
    ) -> HiddenScores | None:
        """Score every pair; None where nothing was hidden."""
        if not hidden:
            return None
        parts = [_score(h) for h in hidden.values()]
        joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        where = np.concatenate([h.where for h in hidden.values()])
        target = np.repeat(list(hidden), [len(h.where) for h in hidden.values()])
        reached = [_attainable(h, pattern[h.where], seed) for h in hidden.values()]
        attainable = {name: np.concatenate([r[name] for r in reached]) for name in METHODS}
        return cls(where=where, pattern=pattern[where], target=target, attainable=attainable,
                   **joined)  # fmt: skip

    def of_rows(self, rows: Bool[np.ndarray, " N"]) -> dict[str, float]:
        """Metrics of the pairs in the rows chosen; empty where there are none."""
        kept = rows[self.where]
        if not kept.any():
            return {}
        u, e, weight = self.u[kept], self.e[kept], self.entries[kept]

        def mean(x: np.ndarray) -> float:
            return float(np.average(x[kept], weights=weight))

        actual = mean(self.e)
        return {
            "reconstruction_error": actual,
            "variance_ratio": mean(self.u) / actual if actual > 0 else float("inf"),
            "reconstruction_nll": mean(self.nll),
            "reconstruction_crps": mean(self.crps),
            "reconstruction_uce": uce(u, e),
            "reconstruction_ence": ence(u, e),
            "reconstruction_coverage": mean(self.covered),
            "reconstruction_width": mean(self.width),
            "reconstruction_ause": ause(u, e),
            **self._correlations(kept),
        }

    def _correlations(self, kept: np.ndarray) -> dict[str, float]:
        found = {}
        for name, method in METHODS.items():
            within = within_pattern_correlation(
                self.u[kept], self.e[kept], self.pattern[kept], self.target[kept],
                method=method, minimum_rows=MINIMUM_ROWS,
            )  # fmt: skip
            found[f"{name}_pooled"] = within.table.overall
            # A correlation of no cell is no correlation of 0.
            found[f"{name}_within"] = float(within) if within.patterns else float("nan")
            possible = self.attainable[name][kept]
            possible = possible[np.isfinite(possible)]
            found[f"{name}_attainable"] = float(possible.mean()) if len(possible) else float("nan")
        return found


def _score(h: Hidden) -> dict[str, np.ndarray]:
    u, e = row_pair(h.sigma, h.truth - h.loc)
    s2 = np.square(h.sigma)
    lower, upper = central_interval(h.loc, s2, LEVEL)
    return {
        "u": u,
        "e": e,
        "nll": gaussian_nll(h.loc, s2, h.truth),
        "crps": gaussian_crps(h.loc, s2, h.truth),
        "covered": ((lower <= h.truth) & (h.truth <= upper)).mean(1),
        "width": (upper - lower).mean(1),
        "entries": np.full(len(u), h.truth.shape[1]),
    }


def _attainable(h: Hidden, pattern: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """What each cell of one modality could reach, spread out over its rows."""
    found = {name: np.full(len(pattern), np.nan) for name in METHODS}
    for k in np.unique(pattern):
        rows = pattern == k
        if rows.sum() < MINIMUM_ROWS:
            continue
        for name, method in METHODS.items():
            found[name][rows] = attainable_correlation(
                h.sigma[rows], h.truth[rows] - h.loc[rows],
                method=method, minimum_rows=MINIMUM_ROWS, repetitions=REPETITIONS, seed=seed,
            ).value  # fmt: skip
    return found
