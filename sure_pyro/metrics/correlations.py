r"""The correlation of uncertainty and error, pooled and within mask patterns (equation 5).

.. math:: \rho(u, e) = \frac{\operatorname{cov}(u, e)}{\operatorname{sd}(u)\,\operatorname{sd}(e)}

It ranks and never calibrates: rho does not change under ``a + b u``. Pooled over patterns it also
sees that rows with fewer modalities have larger errors, which alone can give 0.7 where it is 0
within every pattern (Simpson's paradox); so both are reported.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Float, Num, Shaped

from sure_pyro.metrics import check
from sure_pyro.metrics.patterns import PerPattern, rows_by_pattern

METHODS = ("pearson", "spearman", "kendall")

MINIMUM_ROWS = 8
"""Patterns with fewer rows give no correlation worth averaging."""


@dataclass(frozen=True, eq=False)
class WithinCorrelation:
    """Correlation within patterns, averaged by rows; ``float(result)`` is the value.

    Parameters
    ----------
    value : float
        Average over the patterns that count, weighted by their rows; 0 if none counts.
    rows, patterns : int
        How many rows and patterns it rests on.
    dropped_rows : int
        Rows in patterns with too few rows to count.
    table : PerPattern
        The correlation of every pattern, and the pooled one as ``overall``.
    """

    value: float
    rows: int
    patterns: int
    dropped_rows: int
    table: PerPattern

    def __float__(self) -> float:
        return self.value


def correlation(
    u: Num[np.ndarray, " _N"],
    e: Shaped[np.ndarray, " _N"],
    group: Shaped[np.ndarray, " _N"] | None = None,
    method: str = "pearson",
) -> float:
    """Correlate uncertainty and error over all rows, equation 5.

    Parameters
    ----------
    u, e : ndarray, shape (N,)
        Uncertainty and error per row; `row_pair` makes them from latent entries.
    group : ndarray of str or int, shape (N,), optional
        Correlate within each group and average by rows (groups of one row count as 0).
    method : {"pearson", "spearman", "kendall"}
        Kendall is tau-b.

    Returns
    -------
    float in [-1, 1]
        0 where it is not defined: `u` or `e` constant, or fewer than two rows.

    Raises
    ------
    ValueError
        If the shapes differ, or a value is not finite.
    """
    u, e = check.alike({"u": u, "e": e})
    check.choice("method", method, METHODS)
    if group is None:
        return correlate(u, e, method)
    group = check.keys("group", group, len(u))
    found = [(correlate(u[k], e[k], method), len(k)) for _, k in rows_by_pattern(group)]
    values, rows = zip(*found, strict=True)
    return float(np.average(values, weights=rows))


def within_pattern_correlation(
    u: Num[np.ndarray, " _N"],
    e: Shaped[np.ndarray, " _N"],
    pattern: Shaped[np.ndarray, " _N"],
    target: Shaped[np.ndarray, " _N"] | None = None,
    method: str = "pearson",
    minimum_rows: int = MINIMUM_ROWS,
) -> WithinCorrelation:
    """Correlate within each mask pattern, then average weighted by rows.

    Parameters
    ----------
    u, e : ndarray, shape (N,)
        Uncertainty and error per row.
    pattern : ndarray of str or int, shape (N,)
        Mask pattern of each row.
    target : ndarray of str or int, shape (N,), optional
        Which modality the row's pair belongs to; a pattern then means (pattern, target).
    minimum_rows : int
        A pattern with fewer rows is left out and counted in `dropped_rows`. At no correlation
        a single estimate has a standard deviation of ``1 / sqrt(n - 1)``: 0.38 at 8 rows.
    """
    u, e = check.alike({"u": u, "e": e})
    check.choice("method", method, METHODS)
    cell = join(pattern, target, len(u))
    found = [(name, correlate(u[k], e[k], method), len(k)) for name, k in rows_by_pattern(cell)]
    names, values, rows = (np.array(x) for x in zip(*found, strict=True))
    counts = rows >= check.at_least("minimum_rows", minimum_rows, 2)
    value = float(np.average(values[counts], weights=rows[counts])) if counts.any() else 0.0
    shown = np.where(counts, values, np.nan)
    table = PerPattern(correlate(u, e, method), names, shown, rows, len(u), "correlation")
    kept = int(rows[counts].sum())
    return WithinCorrelation(value, kept, int(counts.sum()), len(u) - kept, table)


def spearman(u: Num[np.ndarray, " _N"], e: Shaped[np.ndarray, " _N"]) -> float:
    """`correlation` of the ranks."""
    return correlation(u, e, method="spearman")


def within(
    u: Num[np.ndarray, " _N"],
    e: Shaped[np.ndarray, " _N"],
    pattern: Shaped[np.ndarray, " _N"],
    method: str = "pearson",
) -> float:
    """`within_pattern_correlation` as a number; NaN, not 0, where no pattern has enough rows."""
    found = within_pattern_correlation(u, e, pattern, method=method)
    return float(found) if found.patterns else float("nan")


def within_spearman(
    u: Num[np.ndarray, " _N"], e: Shaped[np.ndarray, " _N"], pattern: Shaped[np.ndarray, " _N"]
) -> float:
    """`within` of the ranks."""
    return within(u, e, pattern, "spearman")


def attainable_mean(attainable: Num[np.ndarray, " _N"]) -> float:
    """Mean over the rows whose pattern has enough of them; NaN where there is none."""
    known = attainable[np.isfinite(attainable)]
    return float(known.mean()) if len(known) else float("nan")


def attainable_spearman_mean(attainable_spearman: Num[np.ndarray, " _N"]) -> float:
    """`attainable_mean` of the ranks."""
    return attainable_mean(attainable_spearman)


def row_pair(
    sigma: Num[np.ndarray, "_N _D"], residual: Num[np.ndarray, "_N _D"]
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """Average variance and squared error over the D latent entries of each row: the pair (u, e)."""
    sigma, residual = check.alike({"sigma": sigma, "residual": residual}, ndim=(2,))
    return np.square(sigma).mean(1), np.square(residual).mean(1)


def correlate(u: np.ndarray, e: np.ndarray, method: str) -> float:
    """Correlate two checked vectors; 0 where that is not defined."""
    if len(u) < 2 or _constant(u) or _constant(e):
        return 0.0
    if method == "kendall":
        return float(scipy.stats.kendalltau(u, e).statistic)
    if method == "spearman":
        u, e = scipy.stats.rankdata(u), scipy.stats.rankdata(e)
    du, de = _centred(u), _centred(e)
    return float(np.clip(du @ de / np.sqrt((du @ du) * (de @ de)), -1, 1))


def join(pattern: np.ndarray, target: np.ndarray | None, rows: int) -> np.ndarray:
    """Pattern of each row, followed by its target where there is one."""
    pattern = check.keys("pattern", pattern, rows)
    if target is None:
        return pattern
    target = check.keys("target", target, rows)
    return np.array([f"{p} -> {t}" for p, t in zip(pattern, target, strict=True)])


def _centred(x: np.ndarray) -> np.ndarray:
    # The scale cancels in rho; without it the squares of tiny or huge numbers leave the range.
    d = x - x.mean()
    return d / np.abs(d).max()


def _constant(x: np.ndarray) -> bool:
    # The mean of equal floats can differ from them in the last digits: spread within rounding is 0.
    return bool(np.ptp(x) <= 8 * np.finfo(np.float64).eps * np.abs(x).max())
