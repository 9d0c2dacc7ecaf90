"""Conformal intervals and sets on a model's predictions, within each mask pattern.

The normaliser is the propagated standard deviation (regression), the score 1 - p_y (classes); the
quantiles are those of `arrays.ConformalIntervals` and `ConformalSets`. Every held-out row is put
under every mask that it can have, so each pattern is calibrated on all rows that can show it;
within a pattern no row occurs twice, and the guarantee is the usual one. Where rows come in groups,
it is one for a row of a new group, every group counting the same.
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
    check_method,
    check_regression,
    is_calibrated,
    still_valid,
    updated_rows,
)
from sure_pyro.calibration.held_out import (
    held_out,
    held_out_in_order,
    masked_groups,
    sampling_options,
    target_array,
)
from sure_pyro.data import Batch
from sure_pyro.data.store import LatentStore
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.evaluation.rows import check_took, pattern_in, rows_for
from sure_pyro.models import SURE, Prediction
from sure_pyro.stored import Stored


@dataclass(frozen=True, eq=False)
class Conformal(Stored):
    """Intervals (regression) or sets (classes) for predictions; `conformal` makes one.

    Parameters
    ----------
    fitted : ConformalIntervals or ConformalSets
    method : {"taylor", "sampling", "none"}
        Whose means and variances, or probabilities, are used.
    calibrated : bool
        Whether they are those of a calibrated model.
    valid_for : tuple of int
        With how many rows that model was updated online before the fit; or, if the fit was itself
        updated since, before and after the rows of its last update.
    """

    fitted: ConformalIntervals | ConformalSets
    method: str
    calibrated: bool
    valid_for: tuple[int, ...]

    def predict(self, prediction: Prediction) -> Intervals | Sets:
        """Give an interval (B, C) in units of the target, or a set of classes, for each row.

        `guaranteed` (B,) is False where the row's pattern was rare or never met, had too few
        groups, or was updated online. It is False everywhere but in infinite intervals and full
        sets, with a warning, if the model was updated online and these were not.

        Raises
        ------
        ValueError
            If the prediction did not take the method of the fit, one is calibrated and one not, or
            it is of another task.
        """
        check_regression(prediction, isinstance(self.fitted, ConformalIntervals))
        check_took(prediction, self.method)
        check_kind(prediction, self.calibrated)
        fitted: Any = self.fitted  # sets and intervals take what their own method predicts
        found = fitted.predict(*_predicted(prediction, self.method), pattern_in(prediction))
        return withdrawn_if_outdated(found, prediction, self.valid_for)

    def update_online(
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
            Rows whose targets became known together, after those of the updates before.
        step : float in (0, 1)
            How fast the log of a pattern's quantile moves; see `ConformalIntervals.update_online`.
            At most 1 over the rows of `batch`.
        masks, num_samples, seed
            As in `CalibratedSURE.update_online`.

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
        masked = held_out_in_order(batch, masks, seed, rows_of_updates(self.fitted))
        options = sampling_options(self.method, num_samples, seed)
        prediction = model.predict(masked, self.method, **options)
        check_kind(prediction, self.calibrated)
        y, fitted = target_array(masked, prediction.task), cast(Any, self.fitted)
        predicted = _predicted(prediction, self.method)
        after = fitted.update_online(*predicted, y, masked.pattern, step, together=True)[1]
        return replace(self, fitted=after, valid_for=before_and_after(prediction, batch))

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
        Fitted, calibrated or not. The intervals get their width here in any case; what calibration
        brings are better shares between the rows of a pattern.
    validation : Batch
        Held-out rows with targets, exchangeable with those to come. Rows that chose the best epoch,
        or that the model was recalibrated on, are nearly but not strictly so; for a guarantee to
        the letter cut a part for this alone.
    level : float in (0, 1)
        Wanted coverage, within every mask pattern.
    propagate : {"taylor", "sampling", "none"}
        Method whose means and variances, or probabilities, are used.
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
        Of the sampling method, and of random masks.

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
    options = sampling_options(check_method(propagate), num_samples, seed)
    prediction = model.predict(masked, propagate, **options)
    kind: Any = ConformalSets if prediction.task == "classification" else ConformalIntervals
    fitted = kind.fit(
        *_predicted(prediction, propagate),
        target_array(masked, prediction.task),
        pattern_in(prediction),
        level,
        cast(Rare, rare),
        minimum_rows,
        row=masked.row,
        groups=masked_groups(masked, new_groups),
    )
    return Conformal(fitted, propagate, is_calibrated(prediction), (updated_rows(prediction),))


Bounds = TypeVar("Bounds", Intervals, Sets)


def withdrawn_if_outdated(
    found: Bounds, prediction: Prediction, valid_for: tuple[int, ...]
) -> Bounds:
    """Take the guarantee back where the model was updated online and the fit was not."""
    remedy = "Pass the same rows to their `update_online`, or fit them again."
    if still_valid(prediction, valid_for, "intervals or sets", remedy):
        return found
    everything = found.contains if isinstance(found, Sets) else np.isinf(found.upper)
    still = everything.reshape(len(everything), -1).all(1)
    return replace(found, guaranteed=found.guaranteed & still)


def before_and_after(prediction: Prediction, batch: Batch) -> tuple[int, ...]:
    """With how many rows a model is updated before and after its own update with the batch."""
    now = updated_rows(prediction)
    return (now, now + len(batch)) if is_calibrated(prediction) else (now,)


def rows_of_updates(fitted: ConformalIntervals | ConformalSets) -> int:
    """With how many rows the quantiles were updated, all patterns together."""
    return sum(q.updated_rows for q in fitted.quantiles.patterns.values())


def _predicted(prediction: Prediction, method: str) -> list[Any]:
    """Probabilities (B, C) of classes; mean and variance, each (B, C), for regression."""
    if prediction.task == "classification":
        return [as_float64(prediction.probabilities[method])]
    moments = prediction.moments[method]
    return [as_float64(moments.mean), as_float64(moments.variance)]
