r"""Spending a budget of deferrals over mask patterns so that the accepted rows err least.

Let m_k(s) be the expected loss of a row of pattern k with score s. To accept a fixed number of
rows with the smallest total loss, accept those with the smallest m_k(s): at the optimum every
pattern is cut where its expected loss reaches one common value, m_k(t_k) = l. One threshold for
all patterns is optimal only if a score means the same loss in every one.

m_k is a logistic regression on the score's normal quantile q(s), with a coefficient for all
patterns and a penalised deviation for each:

.. math:: \operatorname{logit} m_k(s) = a + a_k + (b + b_k)\, q(s)

The penalty is a Normal(0, tau^2) prior on every a_k and b_k: a pattern with few rows stays near the
common curve, one with hundreds speaks for itself. tau is what predicts the losses of rows left out
best, whole groups at a time; at tau = 0, where patterns do not differ beyond chance, one threshold
serves all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.special
from scipy.special import xlogy

from sure_pyro.calibration.arrays.risk_control import controlled_threshold
from sure_pyro.metrics.patterns import Pattern, rows_by_pattern

PRIOR_SDS = (0.0, 0.1, 0.3, 1.0)  # tau, from one threshold for all to hardly any pull
FOLDS, NEWTON_STEPS = 5, 100


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
    def fit(
        cls,
        score: np.ndarray,
        loss: np.ndarray,
        pattern: np.ndarray,
        prior_sd: float = 1.0,
    ) -> LossCurves:
        """Fit the penalised logistic regression; `loss` in [0, 1], tau = `prior_sd`."""
        x, quantile, q = normal_quantile(score)
        cells = dict(rows_by_pattern(pattern))
        K = len(cells)
        member = np.zeros((len(score), K))
        for j, k in enumerate(cells.values()):
            member[k, j] = 1.0
        columns = np.column_stack([np.ones_like(q), q, member, member * q[:, None]])
        # The common intercept and slope are free but for a hair, which keeps a perfect fit finite.
        penalty = np.array([1e-3, 1e-3])
        if prior_sd > 0:
            penalty = np.concatenate([penalty, np.full(2 * K, prior_sd**-2.0)])
        w = np.zeros(columns.shape[1])
        w[: len(penalty)] = _logistic(columns[:, : len(penalty)], loss, penalty)
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


def choose_prior_sd(
    score: np.ndarray, loss: np.ndarray, pattern: np.ndarray, group: np.ndarray | None, seed: int
) -> float:
    """Tau of the smallest log-loss on rows left out, the groups (None: rows) in five folds."""
    group = np.arange(len(score)) if group is None else group
    names, member = np.unique(group, return_inverse=True)
    if len(names) < FOLDS:
        return 0.0  # too few to tell patterns from groups
    fold = (np.random.default_rng(seed).permutation(len(names)) % FOLDS)[member]
    found = []  # log-likelihoods
    for prior_sd in PRIOR_SDS:
        expected = np.empty(len(score))
        for k in range(FOLDS):
            kept, out = fold != k, fold == k
            curves = LossCurves.fit(score[kept], loss[kept], pattern[kept], prior_sd)
            expected[out] = curves(score[out], pattern[out])
        found.append(xlogy(loss, expected).mean() + xlogy(1 - loss, 1 - expected).mean())
    return PRIOR_SDS[int(np.argmax(found))]


def allocate(
    score: np.ndarray,
    loss: np.ndarray,
    pattern: np.ndarray,
    budget: float,
    group: np.ndarray | None = None,
    seed: int = 0,
) -> dict[Pattern, float]:
    """Find the threshold of each pattern that defers a fraction `budget` of all rows.

    Accept the rows with ``score < threshold``. `loss` in [0, 1]; rows of one `group` hang together.
    """
    prior_sd = choose_prior_sd(score, loss, pattern, group, seed)
    expected = LossCurves.fit(score, loss, pattern, prior_sd)(score, pattern)
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
    group: np.ndarray | None = None,
) -> tuple[dict[Pattern, float], float]:
    """Find thresholds of one common expected loss l, so that the OVERALL risk is controlled.

    One random half of the rows shapes the curves, the other tests l: a curve may not be judged by
    the rows that shaped it. Gives the thresholds, and the one for patterns never seen.
    """
    order = np.random.default_rng(seed).permutation(len(score))
    shape, test = order[: len(order) // 2], order[len(order) // 2 :]
    if len(shape) == 0:
        return dict.fromkeys(np.unique(pattern).tolist(), float("-inf")), float("-inf")
    shaped = score[shape], loss[shape], pattern[shape]
    together = None if group is None else group[shape]
    curves = LossCurves.fit(*shaped, choose_prior_sd(*shaped, together, seed))
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
    """Minimise the negative log-likelihood plus ``penalty * w**2 / 2``; y may be fractional.

    Newton's method; the problem is convex, and a step that goes too far is halved.
    """

    def loss(w: np.ndarray) -> float:
        eta = X @ w
        return float(np.logaddexp(0, eta).sum() - y @ eta + 0.5 * penalty @ w**2)

    w = np.zeros(X.shape[1])
    now = loss(w)
    for _ in range(NEWTON_STEPS):
        p = scipy.special.expit(X @ w)
        gradient = X.T @ (p - y) + penalty * w
        curvature = (X.T * (p * (1 - p))) @ X + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        while (after := loss(w - step)) > now and np.abs(step).max() > 1e-9:
            step = step / 2
        w, now = w - step, after
        if np.abs(step).max() < 1e-6:
            break
    return w
