"""Predicted over actual variance: whether the uncertainties are of the right size."""

from __future__ import annotations

import numpy as np
from jaxtyping import Num, Shaped

from sure_pyro.calibration import check
from sure_pyro.calibration.patterns import PerPattern, per_pattern


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


def _ratio(variance: np.ndarray, squared_error: np.ndarray) -> float:
    predicted, actual = variance.mean(), squared_error.mean()
    if actual == 0:
        return 1.0 if predicted == 0 else float("inf")
    return float(predicted / actual)
