"""Predicted over observed: whether variances and probabilities are of the right size."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, Num, Shaped

from sure_pyro.metrics import check
from sure_pyro.metrics.patterns import PerPattern, per_pattern
from sure_pyro.metrics.scores import bernoulli_brier, categorical_brier, zero_one_loss


def variance_ratio(
    variance: Num[np.ndarray, " _N *_D"],
    squared_error: Num[np.ndarray, " _N *_D"],
    pattern: Shaped[np.ndarray, " _N"] | None = None,
    minimum_rows: int = 1,
) -> PerPattern:
    r"""Compute mean(sigma^2) / mean(e^2), overall and per pattern.

    1 is right on average; 2 means that the predicted variances are twice too large. It says
    nothing about WHICH rows are uncertain: a constant variance can have a ratio of 1. Read it
    beside a correlation, which sees the ranking and not the size.

    Parameters
    ----------
    variance, squared_error : ndarray, shape (N,) or (N, D)
        In squared units of the target.
    pattern : ndarray of str or int, shape (N,), optional

    Returns
    -------
    PerPattern
        ``float(result)`` is the overall ratio. Infinite where the error is zero and the variance
        is not; 1 where both are.
    """
    variance, squared_error = check.alike(
        {"variance": variance, "squared_error": squared_error}, ndim=(1, 2)
    )
    check.not_negative("variance", variance)
    check.not_negative("squared_error", squared_error)
    return per_pattern(
        _ratio,
        variance,
        squared_error,
        pattern=pattern,
        minimum_rows=minimum_rows,
        name="variance_ratio",
    )


def weighted_variance_ratio(
    variance: Num[np.ndarray, " _N"],
    squared_error: Num[np.ndarray, " _N"],
    weight: Num[np.ndarray, " _N"],
) -> float:
    """`variance_ratio` of rows that count by a weight, such as their number of latent entries."""
    return _over(np.average(variance, weights=weight), np.average(squared_error, weights=weight))


def brier_ratio(probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"]) -> float:
    """Brier score that the probabilities predict, over the one observed; 1 is right."""
    predicted = (1 - np.square(probability).sum(1)).mean()
    return _over(predicted, categorical_brier(probability, label).mean())


def label_brier_ratio(
    probability: Num[np.ndarray, " _N *_C"], target: Num[np.ndarray, " _N *_C"]
) -> float:
    """The same for binary labels, taken together."""
    predicted = (probability * (1 - probability)).mean()
    return _over(predicted, bernoulli_brier(probability, target).mean())


def error_ratio(probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"]) -> float:
    """Error rate that the probabilities predict, over the one observed; infinite without errors."""
    observed = zero_one_loss(probability, label).mean()
    return float((1 - probability.max(1)).mean() / observed) if observed else float("inf")


def _ratio(variance: np.ndarray, squared_error: np.ndarray) -> float:
    return _over(variance.mean(), squared_error.mean())


def _over(predicted: float, observed: float) -> float:
    if observed == 0:
        return 1.0 if predicted == 0 else float("inf")
    return float(predicted / observed)
