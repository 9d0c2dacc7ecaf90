r"""Split-conformal quantiles within each mask pattern (Mondrian conformal prediction).

From n calibration scores of a pattern take the k-th smallest, with k = ceil((n + 1) level). A new
row of that pattern, exchangeable with them, has a score at most that large with probability

.. math:: \text{level} \le P \le \text{level} + \frac{1}{n + 1}

(the upper bound needs scores without ties), averaged over calibration sets. ONE calibration set
has a coverage drawn from Beta(k, n + 1 - k), so 50 rows at level 0.9 mean 0.83 to 0.96 nine times
in ten, and 1000 rows 0.884 to 0.915 (Vovk et al. 2003; Vovk 2012, arXiv 1209.2673).

Where scores come in families (recordings of one person, entries of one latent), families are what
is exchangeable: n counts them, each shares a weight of one among its scores, and the quantile is
the smallest score with a weight of at least (n + 1) level at or below it. The lower bound then
holds for a score of a NEW family, the upper one with 2 / (n + 1) (Lee, Barber and Willett 2023,
arXiv 2306.06342; Angelopoulos et al. 2022, arXiv 2208.02814). Every family counts the same, however
many scores it has. What ONE calibration set covers then depends on how scores of a family go
together, and no range is given.

Where the world drifts nothing is exchangeable; there quantiles are updated online (`online`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

from sure_pyro.calibration.arrays.online import (
    OnlineValue,
    check_step,
    move_quantile,
    update_by_pattern,
)
from sure_pyro.metrics import check
from sure_pyro.metrics.patterns import Pattern, rows_by_pattern
from sure_pyro.stored import Stored, register

if TYPE_CHECKING:
    import pandas as pd


@register
class Quantile(NamedTuple):
    """Quantile of one pattern, in units of the scores, and how much it rests on.

    Parameters
    ----------
    value : float
    scores, rows, groups : int
        How many were in the fit.
    updated_rows : int
        With how many rows it was updated online since.
    """

    value: float
    scores: int
    rows: int
    groups: int
    updated_rows: int = 0


NEVER_MET = Quantile(math.nan, 0, 0, 0)
BOUNDS = ("at_least", "at_most", "one_set_low", "one_set_high")


@dataclass(frozen=True, eq=False)
class MondrianQuantiles(Stored):
    """A score quantile per pattern, what it rests on, and the rule for rare patterns.

    Parameters
    ----------
    level : float
        Wanted coverage.
    rare : {"pooled", "infinite"}
        What a pattern gets that was never seen or has fewer than `minimum_rows` rows: the pooled
        quantile, or infinity. One with rows enough and too few groups gets the quantile of its
        rows as if these were independent, or infinity.
    minimum_rows : int
        Also of groups; at least what a finite quantile needs: ``(n + 1) level <= n``.
    pooled : float
        Quantile over all patterns; a row under several masks counts once.
    patterns : dict of Quantile
    """

    level: float
    rare: str
    minimum_rows: int
    pooled: float
    patterns: Mapping[Pattern, Quantile]

    @classmethod
    def fit(
        cls,
        scores: np.ndarray,
        pattern: np.ndarray,
        level: float,
        rare: str,
        minimum_rows: int | None,
        row: np.ndarray | None = None,
        groups: np.ndarray | None = None,
    ) -> MondrianQuantiles:
        """Take the quantile of each pattern; scores (N,), larger is stranger.

        Where a pattern has too few groups for a quantile, its rows are taken as if they were
        groups, and nothing is guaranteed.
        """
        check.fraction("level", level)
        check.choice("rare", rare, ("pooled", "infinite"))
        minimum = max(minimum_rows or 0, rows_needed(level))
        row, groups = check.rows_and_groups(row, groups, len(scores))
        own = {}
        for name, k in rows_by_pattern(check.keys("pattern", pattern, len(scores))):
            num_rows, num_groups = len(np.unique(row[k])), len(np.unique(groups[k]))
            family = row if num_groups < minimum else groups
            q = conformal_quantile(scores[k], level, family[k])
            own[name] = Quantile(q, len(k), num_rows, num_groups)
        return cls(level, rare, minimum, conformal_quantile(scores, level, row), own)

    def __call__(
        self, pattern: np.ndarray
    ) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
        """Quantile of each row, and whether it is guaranteed within the row's pattern."""
        pattern = check.known_kind("pattern", pattern, len(pattern), self.patterns)
        quantile = np.empty(len(pattern))
        guaranteed, expected = np.zeros((2, len(pattern)), dtype=bool)
        for name, k in rows_by_pattern(pattern):
            quantile[k] = q = self._value(name)
            # An infinite interval covers whatever comes: useless, and true.
            guaranteed[k] = self._guaranteed(name) or math.isinf(q)
            expected[k] = guaranteed[k] | self._updated(name)
        if not expected.all():
            self._warn(pattern[~expected])
        return quantile, guaranteed

    def _rare(self, name: Pattern) -> bool:
        return name not in self.patterns or self.patterns[name].rows < self.minimum_rows

    def _updated(self, name: Pattern) -> bool:
        return name in self.patterns and self.patterns[name].updated_rows > 0

    def _guaranteed(self, name: Pattern) -> bool:
        if self._rare(name) or self._updated(name):
            return False
        return self.patterns[name].groups >= self.minimum_rows

    def _value(self, name: Pattern) -> float:
        if self._guaranteed(name) or self._updated(name):
            return self.patterns[name].value
        if self.rare == "infinite":
            return np.inf
        return self.pooled if self._rare(name) else self.patterns[name].value

    def update_online(
        self, scores: np.ndarray, pattern: np.ndarray, step: float, together: bool = False
    ) -> tuple[Float[np.ndarray, " N"], MondrianQuantiles]:
        """Quantile of each row before its score was known, in order, and the quantiles after all.

        Scores are (N,), or (N, D) where a row has several, of which NaN is not known. `step` is
        eta, and with `together` all become known after the last row. A pattern begins where it
        stands; an infinite quantile stays infinite.
        """
        scores = scores.reshape(len(scores), -1)
        pattern = check.known_kind("pattern", pattern, len(scores), self.patterns)
        check_step(step, pattern, together)
        known = {p: self.patterns.get(p, NEVER_MET) for p in np.unique(pattern).tolist()}
        start = {p: OnlineValue(self._value(p), q.updated_rows) for p, q in known.items()}

        def move(_: Pattern, q: float, t: np.ndarray) -> float:
            return move_quantile(q, scores[t], self.level, step)

        used, ends = update_by_pattern(pattern, start, move, together)
        moved = {p: known[p]._replace(value=x.value, updated_rows=x.rows) for p, x in ends.items()}
        return used, replace(self, patterns={**self.patterns, **moved})

    def guarantee(self) -> pd.DataFrame:
        """State the guarantee of each pattern with its finite-sample slack.

        ``at_least`` and ``at_most`` bound the coverage averaged over calibration sets;
        ``one_set_low`` to ``one_set_high`` holds the coverage of nine calibration sets in ten; NaN
        where families have several scores. A pattern that was updated online is right in the long
        run, and promises nothing here.
        """
        import pandas as pd

        return pd.DataFrame([self._line(name) for name in self.patterns])

    def _line(self, name: Pattern) -> dict[str, Any]:
        of, q = self.patterns[name], self._value(name)
        if self._guaranteed(name):
            bounds = coverage_bounds(self.level, of.groups, single=of.scores == of.groups)
        else:
            sure = float(math.isinf(q))
            bounds = (sure, 1.0, sure, 1.0)
        fit: dict[str, Any] = {"pattern": name, "rows": of.rows, "groups": of.groups}
        fit |= {"updated_rows": of.updated_rows, "quantile": q}
        return fit | dict(zip(BOUNDS, bounds, strict=True))

    def _warn(self, patterns: np.ndarray) -> None:
        names = np.unique(patterns).tolist()
        self._warn_of(
            [p for p in names if self._rare(p)],
            patterns,
            f"fewer than {self.minimum_rows} calibration rows and get the pooled quantile",
        )
        self._warn_of(
            [p for p in names if not self._rare(p)],
            patterns,
            f"fewer than {self.minimum_rows} calibration groups (hold out more) and get the "
            "quantile of their rows, as if these were independent",
        )

    def _warn_of(self, names: list[Pattern], patterns: np.ndarray, why: str) -> None:
        if not names:
            return
        listed = ", ".join(f"{p} ({(patterns == p).sum()} rows)" for p in names[:5])
        check.warn_caller(
            f"{len(names)} mask patterns have {why}, without a guarantee of their own: {listed}. "
            'Use `rare="infinite"` to get infinite intervals and full sets there instead.',
        )


def conformal_quantile(scores: np.ndarray, level: float, family: np.ndarray | None = None) -> float:
    """Find the smallest score with a weight of (n + 1) level at or below it.

    Each of n families has a weight of one, shared by its scores; by default every score is one,
    and this is the ceil((n + 1) level)-th smallest. Infinite if n is too small for the level.
    """
    family = np.arange(len(scores)) if family is None else family
    _, index, count = np.unique(family, return_inverse=True, return_counts=True)
    if len(count) < rows_needed(level):
        return float("inf")
    order = np.argsort(scores)
    weight = np.cumsum(1 / count[index[order]])
    weight *= len(count) / weight[-1]  # what many equal shares round off adds up
    k = np.searchsorted(weight, (len(count) + 1) * level - 1e-6 / count.max())
    return float(scores[order[min(k, len(scores) - 1)]])


def coverage_bounds(level: float, n: int, single: bool) -> tuple[float, float, float, float]:
    """Bound the coverage after n families: its mean from both sides, and that of nine sets in ten.

    With `single`, families are single scores; else the last two are not known, and NaN.
    """
    if not single:
        return level, min(level + 2 / (n + 1), 1.0), math.nan, math.nan
    k = int(np.ceil((n + 1) * level - 1e-9))
    low, high = scipy.stats.beta.ppf([0.05, 0.95], k, n + 1 - k)
    return level, min(level + 1 / (n + 1), 1.0), low, high


def rows_needed(level: float) -> int:
    """Count the calibration rows that a finite quantile needs: 9 at 0.9, 19 at 0.95."""
    return int(np.ceil(level / (1 - level) - 1e-9))
