r"""How far a pattern's own fit is trusted: shrinkage towards the overall fit.

Each of K patterns has an estimate x_k from n_k rows; one row has sampling variance s^2, so x_k has
s^2 / n_k, and the true values scatter over patterns with variance tau^2. The best linear blend is

.. math:: w_k x_k + (1 - w_k)\, x, \qquad w_k = \frac{n_k}{n_k + n_0}, \qquad
          n_0 = \frac{s^2}{\tau^2},

so the overall fit counts like n_0 rows (James and Stein 1961; Efron and Morris 1975). tau^2 is
estimated by moments (DerSimonian and Laird 1986). Where patterns differ no more than chance makes
them, tau^2 = 0 and n_0 is infinite: every pattern gets the overall fit.

Where one row was put under several masks, the patterns share its luck. What they share moves the
overall fit and all x_k alike, and tells no pattern from another; left in s^2 it would hide real
differences. So s^2 is then the variance that remains within a row, between its masks.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Num, Shaped


def moment_pseudo_count(
    estimate: Float[np.ndarray, " K"], rows: Num[np.ndarray, " K"], row_variance: float
) -> float:
    """Estimate n_0, in rows: 0 trusts every pattern fully, infinity none."""
    if row_variance <= 0:
        return 0.0  # no noise: an estimate is the truth, however few its rows
    if len(estimate) < 2 or not np.isfinite(row_variance):
        return float("inf")
    weight = rows / row_variance  # precision of each estimate
    centre = np.average(estimate, weights=weight)
    Q = (weight * np.square(estimate - centre)).sum()
    excess = Q - (len(estimate) - 1)
    tau2 = excess / (weight.sum() - np.square(weight).sum() / weight.sum())
    return float(row_variance / tau2) if tau2 > 0 else float("inf")


def row_variance(
    influence: Float[np.ndarray, " N"],
    patterns: int,
    groups: Shaped[np.ndarray, " N"] | None = None,
) -> float:
    """Sampling variance s^2 of one row, from its influences on the estimate of its pattern.

    `groups` says which of the N are one row under several masks; None: no two are.
    """
    x, freedom = influence, len(influence) - patterns
    if groups is not None:
        names, which, count = np.unique(groups, return_inverse=True, return_counts=True)
        if len(names) < len(groups):
            x = x - (np.bincount(which, weights=x) / count)[which]
            freedom -= len(names) - 1
    return float(np.square(x).sum() / max(freedom, 1))


def own_weight(rows: int, pseudo_count: float) -> float:
    """Weight w_k of a pattern's own fit, in [0, 1]."""
    return rows / (rows + pseudo_count)
