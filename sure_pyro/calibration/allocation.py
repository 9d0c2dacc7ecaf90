r"""Spending a budget of deferrals over mask patterns so that the accepted rows err least.

Let m_k(s) be the expected loss of a row of pattern k with score s. To accept a fixed number of
rows with the smallest total loss, accept those with the smallest m_k(s): at the optimum every
pattern is cut where its expected loss reaches one common value, m_k(t_k) = l. One threshold for
all patterns is optimal only if a score means the same loss in every one.

m_k is a logistic regression on the score's normal quantile q(s), with a coefficient for all
patterns and a penalised deviation for each:

.. math:: \operatorname{logit} m_k(s) = a + a_k + (b + b_k)\, q(s)

The penalty is a Normal(0, 1) prior on every a_k and b_k: a pattern with few rows stays near the
common curve, one with hundreds speaks for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import scipy.special

from sure_pyro.calibration.patterns import rows_by_pattern
from sure_pyro.calibration.recalibration import Pattern
from sure_pyro.calibration.risk_control import controlled_threshold


@dataclass(frozen=True, eq=False)
class LossCurves:
    """Expected loss m_k(s) of every pattern, non-decreasing in the score.

    Parameters
    ----------
    common : tuple of float
        Intercept a and slope b, which a pattern that was never seen gets.
    patterns : dict of tuple of float
        Intercept a + a_k and slope b + b_k.
    score, quantile : ndarray, shape (U,)
        The different scores of the fit in rising order, and their normal quantiles.
    """

    common: tuple[float, float]
    patterns: Mapping[Pattern, tuple[float, float]]
    score: np.ndarray
    quantile: np.ndarray

    @classmethod
    def fit(cls, score: np.ndarray, loss: np.ndarray, pattern: np.ndarray) -> LossCurves:
        """Fit the penalised logistic regression; `loss` in [0, 1]."""
        x, quantile, q = normal_quantile(score)
        cells = dict(rows_by_pattern(pattern))
        K = len(cells)
        member = np.zeros((len(score), K))
        for j, k in enumerate(cells.values()):
            member[k, j] = 1.0
        columns = np.column_stack([np.ones_like(q), q, member, member * q[:, None]])
        # The common intercept and slope are free but for a hair, which keeps a perfect fit finite.
        penalty = np.concatenate([[1e-3, 1e-3], np.ones(2 * K)])
        w = _logistic(columns, loss, penalty)
        own = {p: _curve(w[0] + w[2 + j], w[1] + w[2 + K + j]) for j, p in enumerate(cells)}
        return cls(_curve(w[0], w[1]), own, x, quantile)

    def __call__(self, score: np.ndarray, pattern: np.ndarray) -> np.ndarray:
        """Expected loss of each row (N,)."""
        q = np.interp(score, self.score, self.quantile)
        curves = np.array([self.patterns.get(p, self.common) for p in pattern.tolist()])
        return scipy.special.expit(curves[:, 0] + curves[:, 1] * q)

    def threshold(self, level: float, pattern: Pattern | None = None) -> float:
        """Score at which the expected loss of a pattern reaches `level`; may be infinite."""
        a, b = self.patterns.get(pattern, self.common) if pattern is not None else self.common
        gap = scipy.special.logit(level) - a
        q = gap / b if b > 0 else np.inf if gap > 0 else -np.inf
        if q > self.quantile[-1]:
            return float("inf")
        return float(np.interp(q, self.quantile, self.score)) if q > self.quantile[0] else -np.inf


def allocate(
    score: np.ndarray, loss: np.ndarray, pattern: np.ndarray, budget: float
) -> dict[Pattern, float]:
    """Find the threshold of each pattern that defers a fraction `budget` of all rows.

    Accept the rows with ``score < threshold``. `loss` in [0, 1].
    """
    expected = LossCurves.fit(score, loss, pattern)(score, pattern)
    accepted = len(score) - int(np.floor(budget * len(score)))
    accept = np.zeros(len(score), dtype=bool)
    # Ties in the expected loss (a pattern whose score says nothing) fall to the smaller score.
    accept[np.lexsort((score, expected))[:accepted]] = True
    return {p: cut(score[k], accept[k]) for p, k in rows_by_pattern(pattern)}


def allocate_risk(
    score: np.ndarray,
    loss: np.ndarray,
    pattern: np.ndarray,
    max_risk: float,
    delta: float,
    seed: int,
) -> tuple[dict[Pattern, float], float]:
    """Find thresholds of one common expected loss l, so that the OVERALL risk is controlled.

    One random half of the rows shapes the curves, the other tests l: a curve may not be judged by
    the rows that shaped it. Gives the thresholds, and the one for patterns never seen.
    """
    order = np.random.default_rng(seed).permutation(len(score))
    shape, test = order[: len(order) // 2], order[len(order) // 2 :]
    if len(shape) == 0:
        return dict.fromkeys(np.unique(pattern).tolist(), float("-inf")), float("-inf")
    curves = LossCurves.fit(score[shape], loss[shape], pattern[shape])
    expected = curves(score[test], pattern[test])
    level = controlled_threshold(expected, loss[test], max_risk, delta)
    level = float(np.clip(level, 0.0, 1.0))  # logit(0) and logit(1): accept none, accept all
    thresholds = {p: curves.threshold(level, p) for p in np.unique(pattern).tolist()}
    return thresholds, curves.threshold(level)


def cut(score: np.ndarray, accept: np.ndarray) -> float:
    """Threshold between accepted and deferred rows; infinite on the side that has none."""
    if accept.all():
        return float("inf")
    if not accept.any():
        return float("-inf")
    return float((score[accept].max() + score[~accept].min()) / 2)


def normal_quantile(score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal quantiles of ranks, so that any monotone scale of the score gives the same fit.

    Gives the different scores, the quantile of each, and the quantile of each row.
    """
    values, block, size = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(size) - size / 2
    quantile = scipy.special.ndtri(middle / len(score))
    return values, quantile, quantile[block]


def _curve(intercept: float, slope: float) -> tuple[float, float]:
    # A higher score never means less loss: a slope that says so is noise, and counts as zero.
    return float(intercept), max(float(slope), 0.0)


def _logistic(X: np.ndarray, y: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Minimise the negative log-likelihood plus ``penalty * w**2 / 2``; y may be fractional."""

    def objective(w: np.ndarray) -> tuple[float, np.ndarray]:
        eta = X @ w
        value = np.logaddexp(0, eta).sum() - y @ eta + 0.5 * penalty @ w**2
        return float(value), X.T @ (scipy.special.expit(eta) - y) + penalty * w

    found = scipy.optimize.minimize(objective, np.zeros(X.shape[1]), jac=True, method="L-BFGS-B")
    return found.x
