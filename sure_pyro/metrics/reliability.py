"""Binned calibration errors: ECE and adaptive ECE for classes, UCE and ENCE for variances.

A bin compares what was predicted (mean confidence, mean variance) with what was observed
(accuracy, mean squared error). Bins are a choice: even perfectly calibrated predictions have an ECE
above zero, and an ENCE that grows like the square root of the number of bins (arXiv 2305.11905).
Compare models at equal bins and equal numbers of rows only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Num

from sure_pyro.metrics import check


@dataclass(frozen=True, eq=False)
class Bins:
    """The bins of a reliability diagram that have rows, K of them.

    Parameters
    ----------
    predicted, observed : ndarray, shape (K,)
        Mean confidence and accuracy, or mean variance and mean squared error.
    rows : ndarray of int, shape (K,)
    """

    predicted: Float[np.ndarray, " K"]
    observed: Float[np.ndarray, " K"]
    rows: Int[np.ndarray, " K"]

    @property
    def gap(self) -> float:
        """Mean of |predicted - observed|, weighted by rows."""
        return float(np.average(np.abs(self.predicted - self.observed), weights=self.rows))


def confidence_bins(
    probability: Num[np.ndarray, "_N _C"],
    label: Int[np.ndarray, " _N"],
    bins: int = 15,
    adaptive: bool = False,
) -> Bins:
    """Confidence of the most probable class against its accuracy, by bins of confidence.

    `adaptive` makes bins of equal numbers of rows; otherwise they have equal width on [0, 1].
    """
    p = check.probabilities("probability", probability)
    y = check.labels("label", label, *p.shape)
    confidence, right = p.max(1), (p.argmax(1) == y).astype(np.float64)
    width = np.ceil(confidence * check.at_least("bins", bins, 1)).astype(np.int64)
    return _bins(confidence, right, _equal_mass(confidence, bins) if adaptive else width)


def variance_bins(
    variance: Num[np.ndarray, " _N *_D"], squared_error: Num[np.ndarray, " _N *_D"], bins: int = 15
) -> Bins:
    """Mean variance against mean squared error, by bins of equal numbers of rows."""
    s2, e2 = check.alike({"variance": variance, "squared_error": squared_error}, ndim=(1, 2))
    s2, e2 = check.not_negative("variance", s2).ravel(), e2.ravel()
    check.not_negative("squared_error", e2)
    return _bins(s2, e2, _equal_mass(s2, check.at_least("bins", bins, 1)))


def ece(
    probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"], bins: int = 15
) -> float:
    """Compute the expected calibration error over bins of equal width (Guo et al. 2017)."""
    return confidence_bins(probability, label, bins).gap


def adaptive_ece(
    probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"], bins: int = 15
) -> float:
    """Compute the expected calibration error over bins of equal numbers of rows."""
    return confidence_bins(probability, label, bins, adaptive=True).gap


def label_ece(
    probability: Num[np.ndarray, "_N _C"], target: Num[np.ndarray, "_N _C"], bins: int = 15
) -> float:
    """`ece` of binary labels, all taken together, each against its absence."""
    p = probability.ravel()
    return ece(np.stack([1 - p, p], 1), target.ravel().astype(np.int64), bins)


def uce(
    variance: Num[np.ndarray, " _N *_D"], squared_error: Num[np.ndarray, " _N *_D"], bins: int = 15
) -> float:
    """Uncertainty calibration error, in squared units of the target (Laves et al. 2020)."""
    return variance_bins(variance, squared_error, bins).gap


def ence(
    variance: Num[np.ndarray, " _N *_D"], squared_error: Num[np.ndarray, " _N *_D"], bins: int = 15
) -> float:
    """Compute the expected normalised calibration error: mean over bins of |RMV - RMSE| / RMV.

    RMV is the root of a bin's mean variance (Levi et al. 2019, arXiv 1905.11659). A bin without
    variance counts as 0 where it has no error either, and makes the result infinite otherwise.
    """
    b = variance_bins(variance, squared_error, bins)
    rmv, rmse = np.sqrt(b.predicted), np.sqrt(b.observed)
    worst = np.where(rmse > 0, np.inf, 0.0)
    return float(np.divide(np.abs(rmv - rmse), rmv, out=worst, where=rmv > 0).mean())


def _equal_mass(x: np.ndarray, bins: int) -> np.ndarray:
    """Bin of each row by rank; equal values share a bin, whatever the order of the rows."""
    first = np.searchsorted(np.sort(x), x, side="left")
    return first * bins // len(x)


def _bins(predicted: np.ndarray, observed: np.ndarray, bin_of_row: np.ndarray) -> Bins:
    _, which, rows = np.unique(bin_of_row, return_inverse=True, return_counts=True)
    means = [np.bincount(which, weights=x) / rows for x in (predicted, observed)]
    return Bins(means[0], means[1], rows)
