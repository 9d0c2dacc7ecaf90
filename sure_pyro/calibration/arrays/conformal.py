r"""Conformal intervals and sets whose coverage holds within each mask pattern.

Intervals: the score of a row is :math:`|y - \mu| / \sigma` with the propagated standard deviation,
so the interval :math:`\mu \pm q\,\sigma` keeps its shape and gets its size from the calibration
rows of the same pattern (Lei et al. 2018; Papadopoulos et al. 2008). Sets: the score is
:math:`1 - p_y`, and the set holds every class with :math:`p_c \ge 1 - q` (Sadinle et al. 2019).

The guarantee needs exchangeable rows: calibration rows that were not trained on, and from the same
source as the new ones. Where new rows are of new subjects, it is subjects that must be
exchangeable: pass them as `groups`, at least nine for a level of 0.9. Another season breaks it, and
nothing here can see that.

Written here in a few lines, because `crepes` 0.9 gives an interval of width zero, silently, to a
pattern that it never saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Num, Shaped

from sure_pyro.calibration.arrays.mondrian import MondrianQuantiles
from sure_pyro.metrics import check
from sure_pyro.stored import Stored

if TYPE_CHECKING:
    import pandas as pd

Rare = Literal["pooled", "infinite"]


@dataclass(frozen=True, eq=False)
class Intervals:
    """Conformal intervals: `lower` and `upper` like the mean, in its units.

    `guaranteed` (N,) is False where the finite-sample guarantee does not hold within the row's
    pattern: it was rare, had too few groups, or was updated online since.
    """

    lower: Float[np.ndarray, " ..."]
    upper: Float[np.ndarray, " ..."]
    guaranteed: Bool[np.ndarray, " N"]


@dataclass(frozen=True, eq=False)
class Sets:
    """Conformal sets of classes: `contains` bool (N, C); a set may be empty.

    An empty set says that no class is as probable as right classes usually are. `guaranteed` (N,)
    as in `Intervals`.
    """

    contains: Bool[np.ndarray, "N C"]
    guaranteed: Bool[np.ndarray, " N"]

    @property
    def size(self) -> Int[np.ndarray, " N"]:
        """Number of classes in each set."""
        return self.contains.sum(1)


@dataclass(frozen=True, eq=False)
class _PerPattern(Stored):
    """What intervals and sets have in common: a quantile of the scores per pattern."""

    quantiles: MondrianQuantiles

    def guarantee(self) -> pd.DataFrame:
        """State the coverage of each pattern with its finite-sample slack."""
        return self.quantiles.guarantee()


class ConformalIntervals(_PerPattern):
    """Conformal intervals for regression; make one with `fit`."""

    @classmethod
    def fit(
        cls,
        mean: Num[np.ndarray, " _N *_C"],
        variance: Num[np.ndarray, " _N *_C"],
        target: Num[np.ndarray, " _N *_C"],
        pattern: Shaped[np.ndarray, " _N"],
        level: float = 0.9,
        rare: Rare = "pooled",
        minimum_rows: int | None = None,
        row: Shaped[np.ndarray, " _N"] | None = None,
        groups: Shaped[np.ndarray, " _N"] | None = None,
    ) -> ConformalIntervals:
        """Calibrate on held-out rows.

        Parameters
        ----------
        mean, variance, target : ndarray, shape (N,) or (N, C)
            `variance` above zero. With C outputs the interval holds all of them at once.
        pattern : ndarray of str or int, shape (N,)
        level : float in (0, 1)
            Wanted coverage.
        rare : {"pooled", "infinite"}
            A pattern that was never seen, or in fewer than `minimum_rows` rows, gets the quantile
            of all rows with a warning and ``guaranteed = False``, or an infinite interval. One with
            too few groups gets the quantile of its rows, or an infinite interval, likewise.
        minimum_rows : int, optional
            Of rows, and of groups. By default what a finite quantile needs: 9 at level 0.9, 19 at
            0.95.
        row, groups : ndarray of str or int, shape (N,), optional
            Which entries belong to one row (entries of a latent), and which rows err together. The
            guarantee is then one for a row of a new group, every group counting the same.

        Raises
        ------
        ValueError
            If the shapes differ, a variance is not above zero, or an option is out of range.
        """
        scores = _normalised_error(mean, variance, target)
        return cls(MondrianQuantiles.fit(scores, pattern, level, rare, minimum_rows, row, groups))

    def predict(
        self,
        mean: Num[np.ndarray, " _N *_C"],
        variance: Num[np.ndarray, " _N *_C"],
        pattern: Shaped[np.ndarray, " _N"],
    ) -> Intervals:
        """Give the interval of each row: mean plus and minus q times its standard deviation."""
        mu, s2 = check.alike({"mean": mean, "variance": variance}, ndim=(1, 2))
        q, guaranteed = self.quantiles(check.keys("pattern", pattern, len(mu)))
        return _intervals(mu, check.positive("variance", s2), q, guaranteed)

    def update_online(
        self,
        mean: Num[np.ndarray, " _N *_C"],
        variance: Num[np.ndarray, " _N *_C"],
        target: Num[np.ndarray, " _N *_C"],
        pattern: Shaped[np.ndarray, " _N"],
        step: float = 0.05,
        together: bool = False,
    ) -> tuple[Intervals, ConformalIntervals]:
        """Go through rows in order of time, each with what the outcomes before it have taught.

        Parameters
        ----------
        mean, variance, target, pattern
            As in `fit`, in order of time.
        step : float in (0, 1)
            How fast the log of a quantile moves: up by 0.9 `step` after a row that was not
            covered, down by 0.1 `step` after one that was (at level 0.9).
        together : bool
            Whether all outcomes become known after the last row.

        Returns
        -------
        Intervals
            Of each row, from the rows before it. In whatever order errors come, they cover at the
            level within every pattern in the long run, if errors stay between two positive bounds
            (in standard deviations). An infinite interval stays infinite.
        ConformalIntervals
            As it stands after the last row.
        """
        scores = _normalised_error(mean, variance, target)
        pattern = check.keys("pattern", pattern, len(scores))
        q, after = self.quantiles.update_online(scores, pattern, step, together)
        mu, s2 = (np.asarray(x, dtype=np.float64) for x in (mean, variance))
        return _intervals(mu, s2, q, np.zeros(len(q), dtype=bool)), ConformalIntervals(after)


class ConformalSets(_PerPattern):
    """Conformal sets of classes; make one with `fit`."""

    @classmethod
    def fit(
        cls,
        probability: Num[np.ndarray, "_N _C"],
        label: Int[np.ndarray, " _N"],
        pattern: Shaped[np.ndarray, " _N"],
        level: float = 0.9,
        rare: Rare = "pooled",
        minimum_rows: int | None = None,
        row: Shaped[np.ndarray, " _N"] | None = None,
        groups: Shaped[np.ndarray, " _N"] | None = None,
    ) -> ConformalSets:
        """Calibrate on held-out rows; arguments as in `ConformalIntervals.fit`.

        Parameters
        ----------
        probability : ndarray, shape (N, C)
        label : ndarray of int, shape (N,)
        """
        p = check.probabilities("probability", probability)
        y = check.labels("label", label, *p.shape)
        scores = _improbability(p, y)
        return cls(MondrianQuantiles.fit(scores, pattern, level, rare, minimum_rows, row, groups))

    def predict(
        self, probability: Num[np.ndarray, "_N _C"], pattern: Shaped[np.ndarray, " _N"]
    ) -> Sets:
        """Give the set of each row: every class with 1 - p_c at most q."""
        p = check.probabilities("probability", probability)
        q, guaranteed = self.quantiles(check.keys("pattern", pattern, len(p)))
        return Sets(1 - p <= q[:, None], guaranteed)

    def update_online(
        self,
        probability: Num[np.ndarray, "_N _C"],
        label: Int[np.ndarray, " _N"],
        pattern: Shaped[np.ndarray, " _N"],
        step: float = 0.05,
        together: bool = False,
    ) -> tuple[Sets, ConformalSets]:
        """Go through rows in order of time, as `ConformalIntervals.update_online` does."""
        p = check.probabilities("probability", probability)
        y = check.labels("label", label, *p.shape)
        pattern = check.keys("pattern", pattern, len(p))
        q, after = self.quantiles.update_online(_improbability(p, y), pattern, step, together)
        return Sets(1 - p <= q[:, None], np.zeros(len(q), dtype=bool)), ConformalSets(after)


def _intervals(mu: np.ndarray, s2: np.ndarray, q: np.ndarray, guaranteed: np.ndarray) -> Intervals:
    half = q.reshape(-1, *(1,) * (mu.ndim - 1)) * np.sqrt(s2)
    return Intervals(mu - half, mu + half, guaranteed)


def _improbability(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Score 1 - p_y of each row."""
    return 1 - p[np.arange(len(y)), y]


def _normalised_error(mean: np.ndarray, variance: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Score |y - mu| / sigma of each row; the largest one over several outputs."""
    values = {"mean": mean, "variance": variance, "target": target}
    mu, s2, y = check.alike(values, ndim=(1, 2))
    z = np.abs(y - mu) / np.sqrt(check.positive("variance", s2))
    return z if z.ndim == 1 else z.max(1)
