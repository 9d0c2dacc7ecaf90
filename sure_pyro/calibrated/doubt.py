"""How unsure a prediction is of a row, and whether it was wrong: one number each, for every task.

=============== ======================= ======================== ===============================
task            doubt, ``"error"``      doubt, ``"sd"``          loss, in [0, 1]
=============== ======================= ======================== ===============================
classification  1 - largest probability sd of that class's logit wrong class
multilabel      mean of p (1 - p)       mean sd of the logits    share of labels that are wrong
regression      largest sd, in units of the tolerance (both)     error beyond the tolerance
=============== ======================= ======================== ===============================

The first estimates the loss itself. The second is the uncertainty as the paper thresholds it; how
it goes with the loss depends on what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Shaped

from sure_pyro.calibrated.arrays import as_float64
from sure_pyro.models import Prediction

Tolerance = float | Sequence[float] | None
Score = Literal["error", "sd"]


def check_score(score: str) -> str:
    """Refuse a doubt of another name."""
    if score not in get_args(Score):
        raise ValueError(f"`score` must be one of {list(get_args(Score))}; got {score!r}.")
    return score


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


def doubt(
    prediction: Prediction,
    road: str,
    tolerance: tuple[float, ...] | None = None,
    score: str = "error",
) -> Float[np.ndarray, " B"]:
    """How unsure a road is of each row; larger is less sure."""
    sd = np.sqrt(as_float64(prediction.moments[road].variance))  # (B, C)
    if prediction.task == "regression":
        return (sd / np.array(tolerance)).max(1)
    p = as_float64(prediction.probabilities[road])
    if score == "sd":
        likely = p.argmax(1)
        return sd[np.arange(len(sd)), likely] if prediction.task == "classification" else sd.mean(1)
    return 1 - p.max(1) if prediction.task == "classification" else (p * (1 - p)).mean(1)


def loss(
    prediction: Prediction,
    road: str,
    target: Shaped[np.ndarray, "B ..."],
    tolerance: tuple[float, ...] | None = None,
) -> Float[np.ndarray, " B"]:
    """How wrong a road is in each row."""
    if prediction.task == "regression":
        mean = as_float64(prediction.moments[road].mean)
        return (np.abs(target.reshape(mean.shape) - mean) > np.array(tolerance)).any(1) * 1.0
    p = as_float64(prediction.probabilities[road])
    if prediction.task == "classification":
        return (p.argmax(1) != target) * 1.0
    return ((p > 0.5) != (target > 0.5)).mean(1)
