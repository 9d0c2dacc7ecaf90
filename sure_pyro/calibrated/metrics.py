"""Every metric of one output at once, as a mapping from its name to a number.

All are those of `sure_pyro.calibration`, computed together because they share their inputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Num

from sure_pyro import calibration as cal

LEVELS = (0.5, 0.8, 0.9, 0.95)


def regression_metrics(
    mean: Num[np.ndarray, " _N"],
    variance: Num[np.ndarray, " _N"],
    target: Num[np.ndarray, " _N"],
    levels: Sequence[float] = LEVELS,
) -> dict[str, float]:
    """Size, sharpness, scores and ranking of Gaussian predictions of one output.

    ``"pit distance"`` is the largest distance of the distribution of PIT values from the uniform
    one (Kolmogorov); rankings are of the variance against the squared error.
    """
    e2 = np.square(target - mean)
    pit = cal.pit(mean, variance, target)
    central = cal.gaussian_coverage(mean, variance, target, levels)
    return {
        "rmse": cal.rmse(mean, target),
        "nll": float(cal.gaussian_nll(mean, variance, target).mean()),
        "crps": float(cal.gaussian_crps(mean, variance, target).mean()),
        "sharpness": cal.sharpness(variance),
        "variance ratio": float(cal.variance_ratio(variance, e2)),
        "ence": cal.ence(variance, e2),
        "uce": cal.uce(variance, e2),
        "pit distance": _distance_from_uniform(pit),
        **_by_level("coverage", levels, central.coverage),
        **_by_level("width", levels, central.width),
        **_ranking(variance, e2),
        **_areas(variance, e2),
    }


def class_metrics(
    probability: Num[np.ndarray, "_N _C"],
    label: Int[np.ndarray, " _N"],
    levels: Sequence[float] = LEVELS,
) -> dict[str, float]:
    """Size, sharpness, scores and ranking of class probabilities.

    ``"error ratio"`` is the claimed over the actual error rate (infinite without an error), the
    classes' counterpart of the variance ratio. Coverage and width are those of the sets of most
    probable classes. AURC is of the error rate; the other rankings are of the doubt, 1 minus the
    largest probability, against the Brier score.
    """
    doubt, wrong = 1 - probability.max(1), cal.zero_one_loss(probability, label)
    brier = cal.categorical_brier(probability, label)
    parts = cal.brier_decomposition(probability, label)
    return {
        "accuracy": float(1 - wrong.mean()),
        "nll": float(cal.categorical_nll(probability, label).mean()),
        "brier": parts.brier,
        "miscalibration": parts.miscalibration,
        "discrimination": parts.discrimination,
        "uncertainty": parts.uncertainty,
        "ece": cal.ece(probability, label),
        "adaptive ece": cal.adaptive_ece(probability, label),
        "sharpness": float(probability.max(1).mean()),
        "error ratio": float(doubt.mean() / wrong.mean()) if wrong.any() else float("inf"),
        **_by_level("coverage", levels, [cal.set_coverage(probability, label, q) for q in levels]),
        **_by_level("width", levels, [cal.set_size(probability, q) for q in levels]),
        **_ranking(doubt, brier),
        **_areas(doubt, wrong),
    }


def _distance_from_uniform(x: np.ndarray) -> float:
    below = np.arange(len(x) + 1) / len(x)  # the empirical distribution before and at each value
    x = np.sort(x)
    return float(max((below[1:] - x).max(), (x - below[:-1]).max()))


def _by_level(name: str, levels: Sequence[float], values) -> dict[str, float]:
    return {f"{name}/{q:g}": float(v) for q, v in zip(levels, values, strict=True)}


def _ranking(u: np.ndarray, error: np.ndarray) -> dict[str, float]:
    return {
        "ause": cal.ause(u, error),
        "pearson": cal.correlation(u, error),
        "spearman": cal.correlation(u, error, method="spearman"),
    }


def _areas(u: np.ndarray, loss: np.ndarray) -> dict[str, float]:
    curve = cal.risk_coverage(u, loss)
    return {"aurc": curve.aurc, "excess aurc": curve.excess_aurc}
