r"""The Brier score taken apart: miscalibration, discrimination, uncertainty.

.. math:: \text{Brier} = \text{MCB} - \text{DSC} + \text{UNC}

with the calibrated probabilities q found by isotonic regression of the outcome on p, class by
class (CORP: Dimitriadis, Gneiting and Jordan 2021, PNAS 118): MCB = S(p) - S(q) is what
recalibration would save, DSC = S(base rate) - S(q) what the ranking is worth, UNC = S(base rate)
what the task costs without a model. The identity is exact and there are no bins to choose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Num
from sklearn.isotonic import isotonic_regression

from sure_pyro.metrics import check


@dataclass(frozen=True)
class BrierDecomposition:
    """Brier score (sum over classes) = miscalibration - discrimination + uncertainty."""

    brier: float
    miscalibration: float
    discrimination: float
    uncertainty: float


def brier_decomposition(
    probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"]
) -> BrierDecomposition:
    """Take the mean Brier score apart, summed over classes; every part is at least 0."""
    p = check.probabilities("probability", probability)
    y = np.eye(p.shape[1])[check.labels("label", label, *p.shape)]
    q = np.stack([_calibrated(p[:, c], y[:, c]) for c in range(p.shape[1])], axis=1)
    S, S_q, S_base = (np.square(x - y).sum(1).mean() for x in (p, q, y.mean(0)))
    # max: the isotonic solver leaves rounding errors of either sign.
    return BrierDecomposition(
        float(S), max(float(S - S_q), 0.0), float(S_base - S_q), float(S_base)
    )


def miscalibration(probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"]) -> float:
    """What recalibration would save: see `brier_decomposition`."""
    return brier_decomposition(probability, label).miscalibration


def discrimination(probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"]) -> float:
    """What the ranking is worth: see `brier_decomposition`."""
    return brier_decomposition(probability, label).discrimination


def base_rate_brier(probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"]) -> float:
    """Brier score of the shares of the classes: what the task costs without a model."""
    share = np.bincount(label, minlength=probability.shape[1]) / len(label)
    return float(1 - np.square(share).sum())


def _calibrated(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    _, which, rows = np.unique(p, return_inverse=True, return_counts=True)  # equal p, equal q
    mean = np.bincount(which, weights=y) / rows
    return isotonic_regression(mean, sample_weight=rows, y_min=0, y_max=1)[which]
