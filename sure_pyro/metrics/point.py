"""Metrics of the point prediction: F1 and RMSE."""

from __future__ import annotations

import numpy as np
from jaxtyping import Num, Shaped
from sklearn.metrics import f1_score

from sure_pyro.metrics import check


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


def class_f1(probability: Num[np.ndarray, "_N _C"], label: Shaped[np.ndarray, " _N"]) -> float:
    """F1, macro-averaged, of the most probable classes."""
    return f1(probability.argmax(1), label)


def label_set_f1(probability: Num[np.ndarray, "_N _C"], target: Num[np.ndarray, "_N _C"]) -> float:
    """F1, macro-averaged, of the labels that are more probable than not."""
    return f1((probability > 0.5).astype(int), target.astype(int))


def mean_score(score: Num[np.ndarray, " _N"]) -> float:
    """Mean score of the rows: accuracy, label accuracy or R²."""
    return float(np.mean(score))


def share_right(right: Shaped[np.ndarray, " _N"]) -> float:
    """Share of the rows whose class is right."""
    return float(np.mean(right))


def mean_confidence(probability: Num[np.ndarray, "_N _C"]) -> float:
    """Mean probability of the most probable class: how sharp, whatever the truth is."""
    return float(probability.max(1).mean())
