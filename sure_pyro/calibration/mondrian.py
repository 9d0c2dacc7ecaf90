r"""Split-conformal quantiles within each mask pattern (Mondrian conformal prediction).

From n calibration scores of a pattern take the k-th smallest, with k = ceil((n + 1) level). A new
row of that pattern, exchangeable with them, has a score at most that large with probability

.. math:: \text{level} \le P \le \text{level} + \frac{1}{n + 1}

(the upper bound needs scores without ties), averaged over calibration sets. ONE calibration set
has a coverage drawn from Beta(k, n + 1 - k), so 50 rows at level 0.9 mean 0.83 to 0.96 nine times
in ten, and 1000 rows 0.884 to 0.915 (Vovk et al. 2003; Vovk 2012, arXiv 1209.2673).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

from sure_pyro.calibration import check
from sure_pyro.calibration.patterns import rows_by_pattern
from sure_pyro.calibration.recalibration import Pattern

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class MondrianQuantiles:
    """A score quantile per pattern, the rows it rests on, and the rule for rare patterns.

    Parameters
    ----------
    level : float
        Wanted coverage.
    rare : {"pooled", "infinite"}
        What a pattern gets that was never seen or has fewer than `minimum_rows` rows.
    minimum_rows : int
        At least the rows that a finite quantile needs: ``(n + 1) level <= n``.
    pooled : float
        Quantile of all calibration rows together.
    patterns : dict of (quantile, rows)
    """

    level: float
    rare: str
    minimum_rows: int
    pooled: float
    patterns: Mapping[Pattern, tuple[float, int]]

    @classmethod
    def fit(
        cls,
        scores: np.ndarray,
        pattern: np.ndarray,
        level: float,
        rare: str,
        minimum_rows: int | None,
    ) -> MondrianQuantiles:
        """Take the quantile of each pattern; scores (N,), larger is stranger."""
        check.fraction("level", level)
        check.choice("rare", rare, ("pooled", "infinite"))
        needed = rows_needed(level)
        minimum = needed if minimum_rows is None else max(minimum_rows, needed)
        cells = rows_by_pattern(check.keys("pattern", pattern, len(scores)))
        own = {name: (conformal_quantile(scores[k], level), len(k)) for name, k in cells}
        return cls(level, rare, minimum, conformal_quantile(scores, level), own)

    def __call__(
        self, pattern: np.ndarray
    ) -> tuple[Float[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
        """Quantile of each row, and whether it is guaranteed within the row's pattern."""
        pattern = check.known_kind("pattern", pattern, len(pattern), self.patterns)
        quantile, guaranteed = np.empty(len(pattern)), np.zeros(len(pattern), dtype=bool)
        for name, k in rows_by_pattern(pattern):
            own, rows = self.patterns.get(name, (np.inf, 0))
            rare = rows < self.minimum_rows
            quantile[k] = (self.pooled if self.rare == "pooled" else np.inf) if rare else own
            # An infinite interval covers whatever comes: useless, and true.
            guaranteed[k] = not rare or self.rare == "infinite"
        if not guaranteed.all():
            self._warn(pattern[~guaranteed])
        return quantile, guaranteed

    def guarantee(self) -> pd.DataFrame:
        """State the guarantee of each pattern with its finite-sample slack.

        ``at_least`` and ``at_most`` bound the coverage averaged over calibration sets;
        ``one_set_low`` to ``one_set_high`` holds the coverage of nine calibration sets in ten.
        """
        import pandas as pd

        return pd.DataFrame([self._line(name, q, n) for name, (q, n) in self.patterns.items()])

    def to_dict(self) -> dict[str, Any]:
        """Give plain lists, strings and numbers, ready for JSON."""
        return {
            "level": self.level,
            "rare": self.rare,
            "minimum_rows": self.minimum_rows,
            "pooled": str(self.pooled),  # JSON has no infinity
            "patterns": [
                {"pattern": name, "quantile": str(q), "rows": n}
                for name, (q, n) in self.patterns.items()
            ],
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> MondrianQuantiles:
        """Rebuild what `to_dict` gave; the numbers are the same to the last bit."""
        own = {p["pattern"]: (float(p["quantile"]), p["rows"]) for p in state["patterns"]}
        pooled = float(state["pooled"])
        return cls(state["level"], state["rare"], state["minimum_rows"], pooled, own)

    def _line(self, name: Pattern, quantile: float, rows: int) -> dict[str, Any]:
        line: dict[str, Any] = {"pattern": name, "rows": rows, "quantile": quantile}
        if rows < self.minimum_rows:
            line |= {"at_least": 0.0, "at_most": 1.0, "one_set_low": 0.0, "one_set_high": 1.0}
            if self.rare == "infinite":
                line |= {"quantile": np.inf, "at_least": 1.0, "one_set_low": 1.0}
            else:
                line |= {"quantile": self.pooled}
            return line
        k = int(np.ceil((rows + 1) * self.level - 1e-9))
        low, high = scipy.stats.beta.ppf([0.05, 0.95], k, rows + 1 - k)
        bounds = {"at_least": self.level, "at_most": min(self.level + 1 / (rows + 1), 1.0)}
        return line | bounds | {"one_set_low": low, "one_set_high": high}

    def _warn(self, patterns: np.ndarray) -> None:
        names, counts = np.unique(patterns, return_counts=True)
        listed = ", ".join(f"{p} ({n} rows)" for p, n in zip(names[:5], counts[:5], strict=True))
        warnings.warn(
            f"{len(names)} mask patterns have fewer than {self.minimum_rows} calibration rows and "
            f"get the pooled quantile, without a guarantee of their own: {listed}. "
            'Use `rare="infinite"` to get infinite intervals and full sets there instead.',
            stacklevel=4,
        )


def conformal_quantile(scores: np.ndarray, level: float) -> float:
    """Find the ceil((n + 1) level)-th smallest score; infinite if n is too small for the level."""
    # 1e-9: (n + 1) * level can come out a rounding error above the whole number that it is.
    k = int(np.ceil((len(scores) + 1) * level - 1e-9))
    return float(np.partition(scores, k - 1)[k - 1]) if k <= len(scores) else float("inf")


def rows_needed(level: float) -> int:
    """Count the calibration rows that a finite quantile needs: 9 at 0.9, 19 at 0.95."""
    return int(np.ceil(level / (1 - level) - 1e-9))
