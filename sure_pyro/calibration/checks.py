"""Whether a prediction is one that a fitted object can work on, and whether the fit still holds."""

from __future__ import annotations

from sure_pyro.calibration.model import CalibratedPrediction
from sure_pyro.metrics import check
from sure_pyro.models import Prediction

METHODS = ("taylor", "sampling", "none")


def check_method(propagate: str) -> str:
    """Refuse anything but one method."""
    return check.choice("propagate", propagate, METHODS)


def check_kind(prediction: Prediction, calibrated: bool) -> None:
    """Refuse the prediction of a calibrated model for a fit on another one, or the reverse."""
    if is_calibrated(prediction) != calibrated:
        kinds = ("a model as it was fitted", "a calibrated model")
        raise ValueError(
            f"The fit is on predictions of {kinds[calibrated]}; this is one of "
            f"{kinds[not calibrated]}, whose variances differ. Predict with the model of the fit."
        )


def check_regression(prediction: Prediction, regression: bool) -> None:
    """Refuse a prediction of values for a fit on classes or labels, or the reverse."""
    if (prediction.task == "regression") != regression:
        tasks = ("classes or labels", "regression")
        raise ValueError(
            f"The fit is for {tasks[regression]}; this prediction is for {prediction.task}. "
            "Predict with the model of the fit."
        )


def is_calibrated(prediction: Prediction) -> bool:
    """Whether a prediction is that of a calibrated model."""
    return isinstance(prediction, CalibratedPrediction)


def updated_rows(prediction: Prediction) -> int:
    """With how many rows the model of a prediction was updated online."""
    return prediction.updated_rows if isinstance(prediction, CalibratedPrediction) else 0


def still_valid(prediction: Prediction, valid_for: tuple[int, ...], what: str, remedy: str) -> bool:
    """Warn if the model was updated online since something was fitted on it.

    Parameters
    ----------
    prediction : Prediction
    valid_for : tuple of int
        Numbers of rows of the model's updates, after which the fit holds.
    what, remedy : str
        What was fitted, and what to do, for the warning.
    """
    now = updated_rows(prediction)
    if now not in valid_for:
        check.warn_caller(
            f"These {what} are for the model after online updates with {valid_for[-1]} rows; it "
            f"has had {now} by now: its variances are others, and nothing is promised. {remedy}",
        )
    return now in valid_for
