"""Metrics of the point prediction: accuracy, F1, RMSE, MAE."""

from __future__ import annotations

import numpy as np
from jaxtyping import Num, Shaped
from sklearn.metrics import f1_score

from sure_pyro.calibration import check


def accuracy(
    prediction: Shaped[np.ndarray, " _N *_C"], target: Shaped[np.ndarray, " _N *_C"]
) -> float:
    """Fraction of right predictions: classes ``(N,)``, or entries of a multi-label ``(N, C)``."""
    prediction, target = check.alike({"prediction": prediction, "target": target}, ndim=(1, 2))
    return float((prediction == target).mean())


def f1(
    prediction: Shaped[np.ndarray, " _N *_C"],
    target: Shaped[np.ndarray, " _N *_C"],
    average: str = "macro",
) -> float:
    """F1 by scikit-learn; a class without rows and without predictions counts as 0.

    `average` is one of ``"macro"``, ``"micro"``, ``"weighted"``, and for multi-label also
    ``"samples"``.
    """
    prediction, target = check.alike({"prediction": prediction, "target": target}, ndim=(1, 2))
    return float(f1_score(target, prediction, average=average, zero_division=0))


def rmse(mean: Num[np.ndarray, " _N *_C"], target: Shaped[np.ndarray, " _N *_C"]) -> float:
    """Root mean squared error, in units of the target."""
    mean, target = check.alike({"mean": mean, "target": target}, ndim=(1, 2))
    return float(np.sqrt(np.square(target - mean).mean()))


def mae(mean: Num[np.ndarray, " _N *_C"], target: Shaped[np.ndarray, " _N *_C"]) -> float:
    """Mean absolute error, in units of the target."""
    mean, target = check.alike({"mean": mean, "target": target}, ndim=(1, 2))
    return float(np.abs(target - mean).mean())
