"""Conformal intervals and sets on a model's predictions, within each mask pattern.

The normaliser is the propagated standard deviation (regression), the score 1 - p_y (classes); the
quantiles are those of `sure_pyro.calibration.arrays.ConformalIntervals` and `ConformalSets`. Every
held-out row is put under every mask that it can have, so each pattern is calibrated on all rows
that can show it; within a pattern no row occurs twice, and the guarantee is the usual one. Where
rows come in groups, it is one for a row of a new group, every group counting the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd

from sure_pyro.calibration.arrays import ConformalIntervals, ConformalSets, Intervals, Sets
from sure_pyro.calibration.arrays.conformal import Rare
from sure_pyro.calibration.checks import (
    check_kind,
    check_regression,
    check_road,
    followed_by,
    sizes_moved,
)
from sure_pyro.calibration.held_out import families, held_out, stream
from sure_pyro.calibration.model import CalibratedPrediction
from sure_pyro.data import Batch
from sure_pyro.data.store import LatentStore
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.evaluation.rows import check_took, pattern_in, rows_for, target_in
from sure_pyro.models import SURE, Prediction
from sure_pyro.stored import Stored


@dataclass(frozen=True, eq=False)
class Conformal(Stored):
    """Intervals (regression) or sets (classes) for predictions; `conformal` makes one.

    Parameters
    ----------
    fitted : ConformalIntervals or ConformalSets
    road : {"taylor", "sampling", "none"}
        Whose means and variances, or probabilities, are used.
    calibrated : bool
        Whether they are those of a calibrated model.
    belongs_to : tuple of int
        How many rows' outcomes that model had followed at the fit; or, since these have followed,
        before and after the last batch.
    """

    fitted: ConformalIntervals | ConformalSets
    road: str
    calibrated: bool
    belongs_to: tuple[int, ...]

    def predict(self, prediction: Prediction) -> Intervals | Sets:
        """Give an interval (B, C) in units of the target, or a set of classes, for each row.

        `guaranteed` (B,) is False where the row's pattern was rare or never met, had too few
        groups, or has followed outcomes; and everywhere but in infinite intervals and full sets,
        with a warning, if the model has followed outcomes that these have not.

        Raises
        ------
        ValueError
            If the prediction did not take the road of the fit, one is calibrated and one not, or it
            is of another task.
        """
        check_regression(prediction, isinstance(self.fitted, ConformalIntervals))
        check_took(prediction, self.road)
        check_kind(prediction, self.calibrated)
        fitted: Any = self.fitted  # sets and intervals take what their own road says
        found = fitted.predict(*_said(prediction, self.road), pattern_in(prediction))
        return as_promised(found, prediction, self.belongs_to)

    def follow(
        self,
        model: SURE,
        batch: Batch,
        step: float = 0.05,
        *,
        masks: str | None = None,
        num_samples: int = 200,
        seed: int = 0,
    ) -> Conformal:
        """Take in outcomes that have become known, where the world drifts.

        Parameters
        ----------
        model : SURE
            As it predicted these rows.
        batch : Batch
            Rows whose targets became known together, after those followed before.
        step : float in (0, 1)
            How fast the log of a pattern's quantile follows; see `ConformalIntervals.follow`. At
            most 1 over the rows of `batch`.
        masks, num_samples, seed
            As in `CalibratedSURE.follow`.

        Returns
        -------
        Conformal
            To `predict` with for the next rows. Within every pattern it covers at the level in the
            mean over the long run, whatever order outcomes come in, as long as errors stay within
            bounds, in standard deviations. Infinite intervals stay.

        Raises
        ------
        ValueError
            If there are no rows or no targets, they do not fit the model, `step` is out of range,
            or the model is calibrated and that of the fit was not, or the reverse.
        """
        batch = rows_for(model, batch, "batch")
        masked = stream(batch, masks, seed, rows_followed(self.fitted))
        options = {"num_samples": num_samples, "seed": seed} if self.road == "sampling" else {}
        prediction = model.predict(masked, self.road, **options)
        check_kind(prediction, self.calibrated)
        y, pattern = _outcome(prediction, masked.batch), masked.pattern
        fitted: Any = self.fitted
        said = _said(prediction, self.road)
        after = fitted.follow(*said, y, pattern, step, together=True)[1]
        return replace(self, fitted=after, belongs_to=around(prediction, batch))

    def guarantee(self) -> pd.DataFrame:
        """State the coverage of each pattern with its finite-sample slack.

        Averaged over held-out sets it lies between ``at_least`` and ``at_most``; nine held-out sets
        in ten have a coverage between ``one_set_low`` and ``one_set_high`` (NaN, not known, where
        groups are counted).
        """
        return self.fitted.guarantee()


def conformal(
    model: SURE,
    validation: Batch | LatentStore,
    level: float = 0.9,
    *,
    propagate: str = "taylor",
    masks: str | None = None,
    rare: str = "pooled",
    minimum_rows: int | None = None,
    new_groups: bool = True,
    num_samples: int = 200,
    seed: int = 0,
) -> Conformal:
    """Calibrate intervals or sets on held-out rows.

    Parameters
    ----------
    model : SURE
        Fitted, calibrated or not. The intervals get their size here in any case; what calibration
        brings are better shares between the rows of a pattern.
    validation : Batch
        Held-out rows with targets, exchangeable with those to come. Rows that chose the best epoch,
        or that the model was recalibrated on, are nearly but not strictly so; for a guarantee to
        the letter cut a part for this alone.
    level : float in (0, 1)
        Wanted coverage, within every mask pattern.
    propagate : {"taylor", "sampling", "none"}
    masks : {"every", "random", "recorded"}, optional
        As in `sure_pyro.recalibrate`.
    rare : {"pooled", "infinite"}
        What a pattern gets that was never met, or in fewer than `minimum_rows` rows: the quantile
        of all rows with a warning and ``guaranteed = False``, or infinite intervals and full sets.
    minimum_rows : int, optional
        By default what a finite quantile needs: 9 at level 0.9, 19 at 0.95.
    new_groups : bool
        Whether rows to come are of other groups (subjects, weeks) than those of `validation`, if it
        has groups. Then the guarantee is one for a row of a new group, every group counting the
        same however many rows it has, and needs as many groups as `minimum_rows` says of rows; with
        fewer there is a warning, and ``guaranteed = False``. Pass False where rows to come are of
        these same groups.
    num_samples, seed : int
        Of the sampling road, and of random masks.

    Raises
    ------
    ValueError
        If the model is not fitted, the task is multi-label, the rows have no targets or do not fit
        the model (classes go by their names), or an option is out of range.
    """
    validation = rows_for(model, validation)
    if model.head.task == "multilabel":
        raise ValueError("Conformal sets are for classes and regression, not for several labels.")
    masked = held_out(validation, masks, seed)
    options = {"num_samples": num_samples, "seed": seed} if propagate == "sampling" else {}
    prediction = model.predict(masked, check_road(propagate), **options)
    kind: Any = ConformalSets if prediction.task == "classification" else ConformalIntervals
    fitted = kind.fit(
        *_said(prediction, propagate),
        _outcome(prediction, masked.batch),
        pattern_in(prediction),
        level,
        cast(Rare, rare),
        minimum_rows,
        row=masked.row,
        groups=families(masked, new_groups),
    )
    calibrated = isinstance(prediction, CalibratedPrediction)
    return Conformal(fitted, propagate, calibrated, (followed_by(prediction),))


Bounds = TypeVar("Bounds", Intervals, Sets)


def as_promised(found: Bounds, prediction: Prediction, belongs_to: tuple[int, ...]) -> Bounds:
    """Take the guarantee back where the model has followed outcomes that the fit has not."""
    remedy = "Let them `follow` the same rows, or fit them again."
    if not sizes_moved(prediction, belongs_to, "intervals or sets", remedy):
        return found
    everything = found.contains if isinstance(found, Sets) else np.isinf(found.upper)
    still = everything.reshape(len(everything), -1).all(1)
    return replace(found, guaranteed=found.guaranteed & still)


def around(prediction: Prediction, batch: Batch) -> tuple[int, ...]:
    """How many rows a model has followed before and after it follows the batch, too."""
    now = followed_by(prediction)
    return (now, now + len(batch)) if isinstance(prediction, CalibratedPrediction) else (now,)


def rows_followed(fitted: ConformalIntervals | ConformalSets) -> int:
    """Rows that the quantiles have followed, all patterns together."""
    return sum(q.followed for q in fitted.quantiles.patterns.values())


def _said(prediction: Prediction, road: str) -> list[Any]:
    """Probabilities (B, C) of classes; mean and variance, each (B, C), for regression."""
    if prediction.task == "classification":
        return [as_float64(prediction.probabilities[road])]
    moments = prediction.moments[road]
    return [as_float64(moments.mean), as_float64(moments.variance)]


def _outcome(prediction: Prediction, batch: Batch) -> Any:
    """Classes (B,), or values (B, C)."""
    y = target_in(prediction, batch)
    if prediction.task == "classification":
        return y
    return y.reshape(len(y), -1).astype(np.float64)
