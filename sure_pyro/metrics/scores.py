"""Scoring rules: one score per row, smaller is better, ``.mean()`` is the metric.

A proper scoring rule is smallest, on average, for the true distribution (Gneiting and Raftery
2007, JASA 102). Scores come per row because risk-coverage, deferral and bootstrap need them so;
`per_pattern` and `bootstrap_interval` average by themselves.
"""

from __future__ import annotations

import numpy as np
import scipy.special
import scipy.stats
from jaxtyping import Float, Int, Num, Shaped

from sure_pyro.metrics import check


def categorical_nll(
    probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"]
) -> Float[np.ndarray, " N"]:
    """Negative log-likelihood of the true class, in nats.

    A probability below the rounding error of its dtype counts as that (2e-16 in float64, 1e-7 in
    float32, as scikit-learn does), so that one zero does not make the mean infinite.
    """
    floor = _rounding(probability)
    p = check.probabilities("probability", probability)
    y = check.labels("label", label, *p.shape)
    return -np.log(np.maximum(p[np.arange(len(y)), y], floor))


def bernoulli_nll(
    probability: Num[np.ndarray, " _N *_C"], target: Shaped[np.ndarray, " _N *_C"]
) -> Float[np.ndarray, " N"]:
    """Negative log-likelihood of binary labels, averaged over the C labels of a row; in nats."""
    floor = _rounding(probability)
    p, y = _binary(probability, target)
    p = p.clip(floor, 1 - floor)
    return _per_row(-(scipy.special.xlogy(y, p) + scipy.special.xlog1py(1 - y, -p)))


def gaussian_nll(
    mean: Num[np.ndarray, " _N *_C"],
    variance: Num[np.ndarray, " _N *_C"],
    target: Shaped[np.ndarray, " _N *_C"],
) -> Float[np.ndarray, " N"]:
    r"""Compute :math:`\frac12\left[\log 2\pi\sigma^2 + (y-\mu)^2/\sigma^2\right]` per row.

    Averaged over the C outputs of a row; in nats. `variance` must be above zero.
    """
    mu, s2, y = _gaussian(mean, variance, target)
    check.positive("variance", s2)
    return _per_row(0.5 * (np.log(2 * np.pi * s2) + np.square(y - mu) / s2))


def gaussian_crps(
    mean: Num[np.ndarray, " _N *_C"],
    variance: Num[np.ndarray, " _N *_C"],
    target: Shaped[np.ndarray, " _N *_C"],
) -> Float[np.ndarray, " N"]:
    r"""Continuous ranked probability score of a Gaussian, in units of the target.

    :math:`\sigma\left[z(2\Phi(z)-1) + 2\varphi(z) - 1/\sqrt\pi\right]` with
    :math:`z = (y-\mu)/\sigma`; the absolute error where the variance is zero. Averaged over the C
    outputs of a row (Gneiting et al. 2005, equation 5).
    """
    mu, s2, y = _gaussian(mean, variance, target)
    check.not_negative("variance", s2)
    known = s2 == 0
    sigma = np.sqrt(np.where(known, 1, s2))
    z = (y - mu) / sigma
    Phi, phi = scipy.special.ndtr(z), scipy.stats.norm.pdf(z)
    crps = sigma * (z * (2 * Phi - 1) + 2 * phi - 1 / np.sqrt(np.pi))
    return _per_row(np.where(known, np.abs(y - mu), crps))


def categorical_brier(
    probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"]
) -> Float[np.ndarray, " N"]:
    """Brier score: sum over classes of (p_c - [y = c])^2, in [0, 2]."""
    p = check.probabilities("probability", probability)
    y = check.labels("label", label, *p.shape)
    return np.square(p - np.eye(p.shape[1])[y]).sum(1)


def bernoulli_brier(
    probability: Num[np.ndarray, " _N *_C"], target: Shaped[np.ndarray, " _N *_C"]
) -> Float[np.ndarray, " N"]:
    """Brier score of binary labels: (p - y)^2 averaged over the C labels of a row, in [0, 1]."""
    p, y = _binary(probability, target)
    return _per_row(np.square(p - y))


def squared_error(
    mean: Num[np.ndarray, " _N *_C"], target: Shaped[np.ndarray, " _N *_C"]
) -> Float[np.ndarray, " N"]:
    """Squared error averaged over the C outputs of a row; squared units of the target."""
    mu, y = check.alike({"mean": mean, "target": target}, ndim=(1, 2))
    return _per_row(np.square(y - mu))


def zero_one_loss(
    probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"]
) -> Float[np.ndarray, " N"]:
    """1 where the most probable class is wrong, else 0."""
    p = check.probabilities("probability", probability)
    y = check.labels("label", label, *p.shape)
    return (p.argmax(1) != y).astype(np.float64)


def _gaussian(mean: np.ndarray, variance: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, ...]:
    return check.alike({"mean": mean, "variance": variance, "target": target}, ndim=(1, 2))


def _binary(probability: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    p, y = check.alike({"probability": probability, "target": target}, ndim=(1, 2))
    check.unit("probability", p)
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"`target` must be 0 or 1; got values such as {y[~np.isin(y, (0, 1))][0]}")
    return p.clip(0, 1), y


def _per_row(score: np.ndarray) -> np.ndarray:
    return score if score.ndim == 1 else score.mean(1)


def _rounding(probability: np.ndarray) -> float:
    dtype = np.asarray(probability).dtype
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)
