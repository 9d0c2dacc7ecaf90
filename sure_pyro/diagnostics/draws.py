r"""Draws of a prediction: outputs before and after their target was seen, and targets.

For one row and output the prediction is a Gaussian output f (a value, or a logit), unsure because
modalities are missing, and a head with a variance of its own:

.. math:: f \sim N(m, s^2_\text{missing}), \qquad y \mid f \sim \text{Head}(f, s^2_\text{head})

with Head(f, s2) = N(f, s2) for regression, and the softmax or sigmoid of f / sqrt(1 + pi s2 / 8)
for classes and labels (equation 4; MacKay 1992). Outputs of a row are taken as independent, as in
the totals of equation 8.

Leave-one-out (`az.loo`) asks for draws that *have* seen y, and takes y out again by importance
sampling. `seen` therefore draws from :math:`p(f \mid y) \propto p(f)\, p(y \mid f)`: in closed form
for regression, by importance resampling for classes and labels. What `az.loo` then reports is
:math:`\sum_n \log p(y_n \mid \text{visible}_n)`, the log score of the prediction.

References
----------
Vehtari, Gelman and Gabry (2017). Practical Bayesian model evaluation using leave-one-out
cross-validation and WAIC. Statistics and Computing 27, 1413-1432.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.special
from jaxtyping import Float, Num

PROPOSALS = 10  # per draw that is kept by importance resampling
SHARE = (0.02, 0.1)
"""Bounds of the share of the total variance that the draws of `seen` carry; the head takes the
rest. The Pareto k of a row tends to this share. Above 0.7 importance sampling fails, and k is
estimated with an error of 0.1 from 1,000 draws and is judged in every row; at 0 there is nothing to
sample. Moving variance from the one to the other changes neither the prediction nor the
leave-one-out density, which know the total only."""

Array = np.ndarray
LogLikelihood = Callable[[Array, Array], Array]  # (f, noise) -> log p(y | f), per row


def unseen(
    mean: Float[np.ndarray, "B C"],
    variance: Float[np.ndarray, "B C"],
    draws: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "S B C"]:
    """Outputs given what is visible, f ~ N(m, s2)."""
    return mean + np.sqrt(variance) * rng.standard_normal((draws, *mean.shape))


def targets(
    probability: Float[np.ndarray, "B K"] | None,
    mean: Float[np.ndarray, "B C"],
    total: Float[np.ndarray, "B C"],
    task: str,
    draws: int,
    rng: np.random.Generator,
) -> Num[np.ndarray, "S B *C"]:
    """Targets from the predictive distribution: classes (S, B), labels or values (S, B, C)."""
    if probability is None:
        return unseen(mean, total, draws, rng)
    if task == "multilabel":
        return (rng.random((draws, *probability.shape)) < probability).astype(np.int64)
    cumulative = np.cumsum(probability, -1) / probability.sum(-1, keepdims=True)
    u = rng.random((draws, len(probability), 1))
    return (u > cumulative).sum(-1).clip(max=probability.shape[-1] - 1)


def seen(
    mean: Float[np.ndarray, "B C"],
    missing: Float[np.ndarray, "B C"],
    head: Float[np.ndarray, "B C"],
    y: Num[np.ndarray, " B *C"],
    task: str,
    draws: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "S B *C"]:
    """Log-likelihood of y at outputs that have seen y, in nats.

    Parameters
    ----------
    mean, missing, head : ndarray, shape (B, C)
        m, s2_missing and s2_head.
    y : ndarray
        Classes (B,), labels (B, C) or values (B, C).
    task : {"classification", "multilabel", "regression"}
    """
    total = missing + head
    prior = np.clip(missing, SHARE[0] * total, SHARE[1] * total)  # variance of f
    noise = total - prior  # of y given f
    if task == "regression":
        return _seen_values(mean, prior, noise, y, draws, rng)
    found = np.empty((draws, *y.shape))
    for n in range(len(y)):  # row by row: there are many proposals
        f = unseen(mean[n : n + 1], prior[n : n + 1], PROPOSALS * draws, rng)[:, 0]  # (P, C)
        f = f / np.sqrt(1 + math.pi / 8 * noise[n])
        if task == "classification":
            found[:, n] = _resampled(scipy.special.log_softmax(f, -1)[:, y[n]], draws, rng)
        else:
            log_p = scipy.special.log_expit(np.where(y[n] > 0.5, f, -f))
            found[:, n] = np.stack([_resampled(column, draws, rng) for column in log_p.T], -1)
    return found


def _seen_values(
    mean: Array, prior: Array, noise: Array, y: Array, draws: int, rng: np.random.Generator
) -> Array:
    """Log N(y; f, noise) at f | y ~ N(m + g (y - m), (1 - g) prior), g = prior / total."""
    gain = prior / (prior + noise)
    f = unseen(mean + gain * (y - mean), (1 - gain) * prior, draws, rng)
    return -0.5 * (np.log(2 * np.pi * noise) + np.square(y - f) / noise)


def _resampled(log_p: Array, draws: int, rng: np.random.Generator) -> Array:
    """Draw with probability proportional to p, systematically: one uniform number for all."""
    p = np.exp(log_p - log_p.max())
    places = (rng.random() + np.arange(draws)) / draws * p.sum()
    kept = np.searchsorted(np.cumsum(p), places).clip(max=len(p) - 1)
    return rng.permutation(log_p[kept])
