"""Uncertainty score and loss that a deferral decides by: one number each per row, for every task.

=============== ======================= ======================== ===============================
task            score ``"error"``       score ``"sd"``           loss, in [0, 1]
=============== ======================= ======================== ===============================
classification  1 - largest probability sd of that class's logit wrong class
multilabel      mean of p (1 - p)       mean sd of the logits    share of labels that are wrong
regression      largest sd, in units of the tolerance (both)     error beyond the tolerance
=============== ======================= ======================== ===============================

Of classes and labels the first, and the loss, are those of `sure_pyro.evaluation.observed`: it
estimates the loss itself. The second is the uncertainty as the paper thresholds it; how it goes
with the loss depends on what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Shaped

from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.evaluation.observed import Observed, of_probabilities
from sure_pyro.evaluation.predicted import Predicted
from sure_pyro.metrics import check
from sure_pyro.models import Prediction

Tolerance = float | Sequence[float] | None
Score = Literal["error", "sd"]


def check_score(score: str) -> str:
    """Refuse an uncertainty score of another name."""
    return check.choice("score", score, get_args(Score))


def check_tolerance(tolerance: Tolerance, task: str, num_outputs: int) -> tuple[float, ...] | None:
    """Give the tolerated error of each output; None for classes and labels.

    Raises
    ------
    ValueError
        If it is missing, not above zero, or of another length than the outputs.
    """
    if task != "regression":
        if tolerance is not None:
            raise ValueError(f"`tolerance` is for regression; the task is {task}.")
        return None
    if tolerance is None:
        raise ValueError(
            "Regression needs a `tolerance`: the error, in units of the target, beyond which a "
            "prediction counts as wrong."
        )
    t = np.broadcast_to(np.asarray(tolerance, dtype=np.float64), (num_outputs,))
    if not (t > 0).all():
        raise ValueError(f"`tolerance` must be above zero; got {tolerance}.")
    return tuple(t.tolist())


def uncertainty_score(
    prediction: Prediction,
    method: str,
    tolerance: tuple[float, ...] | None = None,
    score: str = "error",
) -> Float[np.ndarray, " B"]:
    """How unsure a method is of each row; larger is less sure."""
    sd = np.sqrt(as_float64(prediction.moments[method].variance))  # (B, C)
    if prediction.task == "regression":
        return (sd / np.array(tolerance)).max(1)
    if score == "error":
        return of_probabilities(as_float64(prediction.probabilities[method]), prediction.task)
    if prediction.task == "multilabel":
        return sd.mean(1)
    likely = as_float64(prediction.probabilities[method]).argmax(1)
    return sd[np.arange(len(sd)), likely]


def loss(
    prediction: Prediction,
    method: str,
    target: Shaped[np.ndarray, "B ..."],
    tolerance: tuple[float, ...] | None = None,
) -> Float[np.ndarray, " B"]:
    """How wrong a method is in each row."""
    predicted = Predicted.of(prediction, method)
    if prediction.task == "regression":
        missed = np.abs(target.reshape(predicted.mean.shape) - predicted.mean)
        return (missed > np.array(tolerance)).any(1) * 1.0
    return Observed(prediction.task, target, np.ones(1)).loss(predicted)
