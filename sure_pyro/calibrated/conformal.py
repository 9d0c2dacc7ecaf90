"""Conformal intervals and sets on a model's predictions, within each mask pattern.

The normaliser is the propagated standard deviation (regression), the score 1 - p_y (classes); the
quantiles are those of `sure_pyro.calibration.ConformalIntervals` and `ConformalSets`. Every
held-out row is put under every mask that it can have, so each pattern is calibrated on all rows
that can show it; within a pattern no row occurs twice, and the guarantee is the usual one. Where
rows come in groups, it is one for rows of new groups, and groups are what it counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from sure_pyro.calibrated.arrays import as_float64
from sure_pyro.calibrated.held_out import families, held_out
from sure_pyro.calibrated.road import check_road, check_took, pattern_in, target_in
from sure_pyro.calibration import (
    ConformalIntervals,
    ConformalSets,
    Intervals,
    Sets,
)
from sure_pyro.calibration.conformal import Rare
from sure_pyro.calibration.files import Stored
from sure_pyro.data import Batch
from sure_pyro.models import SURE, Prediction

KINDS: dict[str, type[ConformalIntervals] | type[ConformalSets]] = {
    kind.__name__: kind for kind in (ConformalIntervals, ConformalSets)
}


@dataclass(frozen=True, eq=False)
class Conformal(Stored):
    """Intervals (regression) or sets (classes) for predictions; `conformal` makes one.

    Parameters
    ----------
    fitted : ConformalIntervals or ConformalSets
    road : {"taylor", "sampling", "none"}
        Whose means and variances, or probabilities, are used.
    """

    fitted: ConformalIntervals | ConformalSets
    road: str

    def predict(self, prediction: Prediction) -> Intervals | Sets:
        """Give an interval (B, C) in units of the target, or a set of classes, for each row.

        `guaranteed` (B,) is False where the row's pattern was rare or never met.

        Raises
        ------
        ValueError
            If the prediction did not take the road of the fit.
        """
        check_took(prediction, self.road)
        pattern = pattern_in(prediction)
        if isinstance(self.fitted, ConformalSets):
            return self.fitted.predict(as_float64(prediction.probabilities[self.road]), pattern)
        moments = prediction.moments[self.road]
        return self.fitted.predict(as_float64(moments.mean), as_float64(moments.variance), pattern)

    def follow(
        self, prediction: Prediction, batch: Batch, step: float = 0.05
    ) -> tuple[Intervals | Sets, Conformal]:
        """Go through rows in order of time, each with what the outcomes before it have taught.

        Parameters
        ----------
        prediction : Prediction
            Of `batch`.
        batch : Batch
            Rows with targets, in order of time.
        step : float in (0, 1)
            How fast the log of a pattern's quantile follows.

        Returns
        -------
        Intervals or Sets
            Of each row, from the rows of its pattern before it: nothing looks ahead. Whatever
            drifts, they cover at the level within every pattern in the long run.
        Conformal
            As it stands after the last row: `predict` with it, or follow on.

        Raises
        ------
        ValueError
            If the prediction did not take the road of the fit, or is of another batch.
        """
        check_took(prediction, self.road)
        pattern, y = pattern_in(prediction), target_in(prediction, batch)
        if isinstance(self.fitted, ConformalSets):
            p = as_float64(prediction.probabilities[self.road])
            sets, after = self.fitted.follow(p, y, pattern, step)
            return sets, Conformal(after, self.road)
        moments = prediction.moments[self.road]
        mean, variance = as_float64(moments.mean), as_float64(moments.variance)
        y = y.reshape(mean.shape).astype(np.float64)
        intervals, followed = self.fitted.follow(mean, variance, y, pattern, step)
        return intervals, Conformal(followed, self.road)

    def guarantee(self) -> pd.DataFrame:
        """State the coverage of each pattern with its finite-sample slack.

        Averaged over held-out sets it lies between ``at_least`` and ``at_most``; nine held-out sets
        in ten have a coverage between ``one_set_low`` and ``one_set_high``.
        """
        return self.fitted.guarantee()

    def to_dict(self) -> dict[str, Any]:
        """Give plain lists, strings and numbers, ready for JSON."""
        return {"type": "Conformal", "road": self.road, "fitted": self.fitted.to_dict()}

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Conformal:
        """Rebuild what `to_dict` gave; the numbers are the same to the last bit."""
        return cls(KINDS[state["fitted"]["type"]].from_dict(state["fitted"]), state["road"])


def conformal(
    model: SURE,
    validation: Batch,
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
        has groups. Then the guarantee rests on whole groups, and needs as many as `minimum_rows`
        says of rows; with fewer there is a warning, and ``guaranteed = False``. Pass False where
        rows to come are of these same groups.
    num_samples, seed : int
        Of the sampling road, and of random masks.

    Raises
    ------
    ValueError
        If the task is multi-label, the rows have no targets, or an option is out of range.
    """
    if model.initialized and model.head.task == "multilabel":
        raise ValueError("Conformal sets are for classes and regression, not for several labels.")
    masked = held_out(validation, masks, seed)
    batch = masked.batch
    options = {"num_samples": num_samples, "seed": seed} if propagate == "sampling" else {}
    prediction = model.predict(batch, check_road(propagate), **options)
    pattern, y = pattern_in(prediction), target_in(prediction, batch)
    rest = (level, cast(Rare, rare), minimum_rows, masked.row, families(masked, new_groups))
    if prediction.task == "classification":
        p = as_float64(prediction.probabilities[propagate])
        return Conformal(ConformalSets.fit(p, y, pattern, *rest), propagate)
    moments = prediction.moments[propagate]
    mean, variance = as_float64(moments.mean), as_float64(moments.variance)
    y = y.reshape(mean.shape).astype(np.float64)
    return Conformal(ConformalIntervals.fit(mean, variance, y, pattern, *rest), propagate)
