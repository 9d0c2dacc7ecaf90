r"""How far held-out rows are trusted: a pattern against all patterns, and all against the model.

**A pattern's own fit** is shrunk towards the overall fit. Each of K patterns has an estimate x_k
from n_k rows; one row has sampling variance s^2, so x_k has s^2 / n_k, and the true values scatter
over patterns with variance tau^2. The best linear blend is

.. math:: w_k x_k + (1 - w_k)\, x, \qquad w_k = \frac{n_k}{n_k + n_0}, \qquad
          n_0 = \frac{s^2}{\tau^2},

so the overall fit counts like n_0 rows (James and Stein 1961; Efron and Morris 1975). tau^2 is
estimated by moments (DerSimonian and Laird 1986). Where patterns differ no more than chance makes
them, tau^2 = 0 and n_0 is infinite: every pattern gets the overall fit.

Where one row was put under several masks, the patterns share its luck. What they share moves the
overall fit and all x_k alike, and tells no pattern from another; left in s^2 it would hide real
differences. So s^2 is then the variance that remains within a row, between its masks. Where rows
come in groups (a subject, a week) that err together, a group and not a row is one observation.

**The overall fit** is shrunk towards the model as it was trained. Fifteen recordings may err by
half more than the model says and the next fifteen by a third less; a factor taken from the first
then does harm. The log factor theta of a trained model has the prior Cauchy(0, tau), most often
near 0 and now and then far away (Gelman et al. 2008 recommend Cauchy priors for logistic
regression), and the held-out rows say x with sampling variance s^2. The posterior mean has a closed
form in the Faddeeva function w (scipy's ``wofz``), since a normal smoothed by a Cauchy is a Voigt
profile:

.. math:: \hat\theta = \tau\,\frac{\Im w(z)}{\Re w(z)}, \qquad
          z = \frac{x + i\tau}{s\sqrt2}

It is x where the rows are certain of it, and near 0 where they can hardly tell x from 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import scipy.special
from jaxtyping import Float, Int, Num, Shaped

from sure_pyro.metrics.patterns import Pattern

PRIOR_SCALE = 0.1
"""tau: half of all trained models are taken to be within about 10 % before anything is seen."""


def pseudo_count(
    given: float | None,
    estimate: Float[np.ndarray, " K"],
    influence: Float[np.ndarray, " N"],
    cells: Mapping[Pattern, Int[np.ndarray, " n"]],
    row: Shaped[np.ndarray, " N"],
    groups: Shaped[np.ndarray, " N"],
) -> float:
    """Take n_0 as it was given, or estimate it from what the patterns say.

    Parameters
    ----------
    given : float or None
    estimate : ndarray, shape (K,)
        Of every pattern, in the order of `cells`.
    influence : ndarray, shape (N,)
        Of each row on the estimate of its pattern.
    cells : dict of ndarray of int
        Rows of every pattern.
    row, groups : ndarray, shape (N,)
        As in `row_variance`.

    Raises
    ------
    ValueError
        If it is negative.
    """
    if given is None:
        rows, order = np.array([len(k) for k in cells.values()]), np.concatenate([*cells.values()])
        number = np.repeat(np.arange(len(rows)), rows)
        noise = row_variance(influence[order], number, row[order], groups[order])
        return moment_pseudo_count(estimate, rows, noise)
    if given < 0:
        raise ValueError(f"`pseudo_count` must be at least 0; got {given}.")
    return float(given)


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
    pattern: Int[np.ndarray, " N"],
    row: Shaped[np.ndarray, " N"],
    group: Shaped[np.ndarray, " N"],
) -> float:
    """Sampling variance s^2 of one row, from its influences on the estimate of its pattern.

    `row` says which of the N are one row under several masks, `group` which rows err together.
    """
    names, which, count = np.unique(row, return_inverse=True, return_counts=True)
    x, shared = influence, 0
    if len(names) < len(row):
        x = x - (np.bincount(which, weights=x) / count)[which]
        shared = len(np.unique(group)) - 1
    cells, cell = np.unique(np.stack([group_numbers(group), pattern]), axis=1, return_inverse=True)
    sums = np.bincount(cell.ravel(), weights=x)
    freedom = cells.shape[1] - len(np.unique(pattern)) - shared
    if freedom < 1:  # such as a single group: nothing tells chance from a difference
        return math.inf
    return float(np.square(sums).sum() / len(x) * cells.shape[1] / freedom)


def variance_of_mean(influence: Float[np.ndarray, " N"], group: Shaped[np.ndarray, " N"]) -> float:
    """Sampling variance of the mean of N influences that come in G groups; infinite for one."""
    sums = np.bincount(group_numbers(group), weights=influence)
    G = len(sums)
    return float(np.square(sums).sum() / len(influence) ** 2 * G / (G - 1)) if G > 1 else math.inf


def posterior_mean(estimate: float, variance: float, prior_scale: float) -> float:
    """Posterior mean of a log factor that is Cauchy(0, `prior_scale`) before.

    Raises
    ------
    ValueError
        If `prior_scale` is negative or NaN.
    """
    if not prior_scale >= 0:
        raise ValueError(
            f"`prior_scale`, of a Cauchy distribution, must be at least 0; got {prior_scale}. Take "
            "0 to leave the model as it is, `np.inf` to believe the held-out rows alone."
        )
    if variance == 0 or math.isinf(prior_scale):
        return estimate
    if math.isinf(variance):
        return 0.0
    z = complex(estimate, prior_scale) / math.sqrt(2 * variance)
    w = scipy.special.wofz(z)
    return float(prior_scale * w.imag / w.real)


def towards_model(
    estimate: float,
    influence: Float[np.ndarray, " N"],
    group: Shaped[np.ndarray, " N"],
    prior_scale: float,
) -> float:
    """Factor that takes the overall fit, of log factor `estimate`, to its posterior mean."""
    variance = variance_of_mean(influence, group)
    return math.exp(posterior_mean(estimate, variance, prior_scale) - estimate)


def group_numbers(group: Shaped[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Number groups from 0."""
    return np.unique(group, return_inverse=True)[1]


def own_weight(rows: int, pseudo_count: float) -> float:
    """Weight w_k of a pattern's own fit, in [0, 1]."""
    return rows / (rows + pseudo_count)
