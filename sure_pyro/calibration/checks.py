"""Checks that a prediction is one that a fitted object can work on."""

from __future__ import annotations

from sure_pyro.calibration.model import CalibratedPrediction
from sure_pyro.metrics import check
from sure_pyro.models import Prediction

ROADS = ("taylor", "sampling", "none")


def check_road(road: str) -> str:
    """Refuse anything but one road."""
    if road not in ROADS:
        raise ValueError(f"`propagate` must be one of {list(ROADS)}; got {road!r}.")
    return road


def check_kind(prediction: Prediction, calibrated: bool) -> None:
    """Refuse the prediction of a calibrated model for a fit on another one, or the reverse."""
    if isinstance(prediction, CalibratedPrediction) != calibrated:
        kinds = ("a model as it was fitted", "a calibrated model")
        raise ValueError(
            f"The fit is on predictions of {kinds[calibrated]}; this is one of "
            f"{kinds[not calibrated]}, whose sizes differ. Predict with the model of the fit."
        )


def check_regression(prediction: Prediction, regression: bool) -> None:
    """Refuse a prediction of values for a fit on classes or labels, or the reverse."""
    if (prediction.task == "regression") != regression:
        tasks = ("classes or labels", "regression")
        raise ValueError(
            f"The fit is for {tasks[regression]}; this prediction is for {prediction.task}. "
            "Predict with the model of the fit."
        )


def followed_by(prediction: Prediction) -> int:
    """How many rows the sizes of a prediction have followed."""
    return prediction.followed if isinstance(prediction, CalibratedPrediction) else 0


def sizes_moved(
    prediction: Prediction, belongs_to: tuple[int, ...], what: str, remedy: str
) -> bool:
    """Warn if sizes are others than those that something belongs to, by rows followed."""
    now = followed_by(prediction)
    if now in belongs_to:
        return False
    check.warn_caller(
        f"These {what} belong to the model after it had followed {belongs_to[-1]} rows; it has "
        f"followed {now} now: its sizes have moved, and nothing is promised. {remedy}",
    )
    return True
