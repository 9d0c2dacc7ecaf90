"""Checks that a prediction is one that a fitted object can work on."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Shaped
from torch import Tensor

from sure_pyro.calibrated.model import CalibratedPrediction
from sure_pyro.calibration import check, mask_pattern
from sure_pyro.data import Batch
from sure_pyro.models import Prediction

ROADS = ("taylor", "sampling", "none")


def check_road(road: str) -> str:
    """Refuse anything but one road."""
    if road not in ROADS:
        raise ValueError(f"`propagate` must be one of {list(ROADS)}; got {road!r}.")
    return road


def check_took(prediction: Prediction, road: str) -> None:
    """Refuse a prediction that did not take the road of the fit."""
    if road not in prediction.moments:
        raise ValueError(
            f"The fit is of the road {road!r}; this prediction took {list(prediction.roads)}. Use "
            f"`model.predict(batch, propagate={road!r})`."
        )


def check_kind(prediction: Prediction, calibrated: bool) -> None:
    """Refuse the prediction of a calibrated model for a fit on another one, or the reverse."""
    if isinstance(prediction, CalibratedPrediction) != calibrated:
        kinds = ("a model as it was fitted", "a calibrated model")
        raise ValueError(
            f"The fit is on predictions of {kinds[calibrated]}; this is one of "
            f"{kinds[not calibrated]}, whose sizes differ. Predict with the model of the fit."
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


def pattern_in(
    prediction: Prediction, available: Tensor | Bool[np.ndarray, "B M"] | None = None
) -> Shaped[np.ndarray, " B"]:
    """Mask pattern of every row; `available` must be what the prediction was made with.

    Raises
    ------
    ValueError
        If it is not.
    """
    own = prediction.available.cpu().numpy()
    if available is not None:
        given = available.cpu().numpy() if isinstance(available, Tensor) else np.asarray(available)
        if given.shape != own.shape or (given != own).any():
            raise ValueError(
                f"`available` {given.shape} is not what the prediction was made with, {own.shape}: "
                "pass `batch.available` of the batch that was predicted, or leave it out."
            )
    return mask_pattern(own, prediction.modalities)


def target_in(prediction: Prediction, batch: Batch) -> np.ndarray:
    """Targets of the batch that was predicted.

    Raises
    ------
    ValueError
        If the batch has no targets, or is another one.
    """
    if batch.target is None:
        raise ValueError("`batch` has no targets: nothing says how good the prediction was.")
    pattern_in(prediction, batch.available)
    return batch.target.cpu().numpy()
