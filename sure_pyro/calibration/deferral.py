"""Which predictions to hand to a human, decided by the model's own uncertainty per mask pattern.

The policy reads score, loss and pattern off predictions for `arrays.DeferralThresholds`, and keeps
the one static threshold for the same goal beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
from jaxtyping import Bool
from torch import Tensor

from sure_pyro.calibration.arrays import Decisions, DeferralReport, DeferralThresholds
from sure_pyro.calibration.arrays.risk_control import rows_needed
from sure_pyro.calibration.checks import (
    check_method,
    check_regression,
    still_valid,
)
from sure_pyro.calibration.decision_scores import (
    Tolerance,
    check_score,
    check_tolerance,
    loss,
    uncertainty_score,
)
from sure_pyro.calibration.held_out import groups_of, held_out, one_row_each, sampling_options
from sure_pyro.calibration.model import CalibratedSURE
from sure_pyro.data import Batch
from sure_pyro.data.masked_rows import MaskedRows, one_mask_each
from sure_pyro.data.store import LatentStore
from sure_pyro.evaluation.rows import check_took, pattern_in, rows_for, target_in
from sure_pyro.metrics import check
from sure_pyro.models import SURE, Prediction
from sure_pyro.stored import Stored

Scope = Literal["pattern", "overall"]
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class DeferralPolicy(Stored):
    """Accept a prediction or hand the case over; make one with `fit`.

    Parameters
    ----------
    thresholds : arrays.DeferralThresholds
        A threshold on the uncertainty score for each mask pattern.
    static : arrays.DeferralThresholds
        The one threshold for the same goal, to compare with.
    method : {"taylor", "sampling", "none"}
        Whose uncertainty the thresholds are on.
    tolerance : tuple of float or None
        Tolerated error of each output, for regression.
    score : {"error", "sd"}
        Which uncertainty score that is.
    valid_for : tuple of int
        With how many rows the model was updated online before the fit.
    """

    thresholds: DeferralThresholds
    static: DeferralThresholds
    method: str
    tolerance: tuple[float, ...] | None
    score: str = "error"
    valid_for: tuple[int, ...] = (0,)

    @classmethod
    def fit(
        cls,
        model: SURE,
        validation: Batch | LatentStore,
        *,
        max_risk: float | None = None,
        budget: float | None = None,
        tolerance: Tolerance = None,
        delta: float = 0.05,
        scope: str = "pattern",
        score: str = "error",
        propagate: str = "taylor",
        masks: str | None = None,
        new_groups: bool = True,
        num_samples: int = 200,
        seed: int = 0,
    ) -> DeferralPolicy:
        """Find the thresholds on held-out rows.

        Parameters
        ----------
        model : SURE
            Fitted; calibrated by `sure_pyro.recalibrate`, or not.
        validation : Batch
            Held-out rows with targets, exchangeable with those to come.
        max_risk, budget : float in (0, 1)
            Exactly one of them: the largest error rate among the accepted rows, which holds with
            probability ``1 - delta``; or the fraction of rows that can be handed over.
        tolerance : float or sequence of float, optional
            For regression: the error, in units of the target, beyond which an output is wrong.
        delta, scope
            As in `sure_pyro.calibration.arrays.DeferralThresholds.fit`.
        score : {"error", "sd"}
            Uncertainty score: the error rate that the method itself predicts, or the standard
            deviation of its output as it is (for regression both are one). The first means nearly
            the same under every mask, so one threshold for all loses little; the second does not.
        propagate : {"taylor", "sampling", "none"}
        masks : {"every", "random", "recorded"}, optional
            As in `sure_pyro.recalibrate`. A budget is spent over the masks that are met here: where
            some are far more common than others, hide them so beforehand and say ``"recorded"``.
        new_groups : bool
            Whether rows to come are of other groups (subjects, weeks) than those of `validation`,
            if it has groups. Then `max_risk` is promised from one random row of each, which are as
            independent as the groups: it needs many groups, and each counts the same, however many
            rows it has. A budget uses all rows in any case.
        num_samples, seed : int
            Of the sampling method, of random masks and rows, and of the halves of
            ``scope="overall"``.

        Raises
        ------
        ValueError
            If not exactly one goal is given, the tolerance does not fit the task, there is no such
            score, the model is not fitted, or the rows have no targets or do not fit the model
            (classes go by their names).
        """
        validation = rows_for(model, validation)
        if max_risk is not None and new_groups:
            validation = one_row_each(validation, seed)
            _warn_of_few_groups(validation, max_risk, delta)
        masked = held_out(validation, masks, seed)
        options = sampling_options(check_method(propagate), num_samples, seed)
        policy: dict[str, Any] = {"max_risk": max_risk, "budget": budget, "delta": delta}
        check_score(score)

        def rows(batch: Batch | MaskedRows) -> Rows:
            prediction = model.predict(batch, propagate, **options)
            tolerated = check_tolerance(tolerance, prediction.task, len(prediction.outputs))
            shown = batch.batch if isinstance(batch, MaskedRows) else batch
            return _rows(prediction, shown, propagate, tolerated, score)

        groups = groups_of(validation)
        within = overall = (rows(masked), groups[masked.row])
        if max_risk is not None and masks != "recorded":
            # A promise over all patterns needs rows that are independent of each other: each once.
            overall = (rows(one_mask_each(validation, seed)), groups)
        own, group = overall if scope == "overall" else within
        thresholds = DeferralThresholds.fit(
            *own, scope=cast(Scope, scope), group=group, seed=seed, **policy
        )
        static = DeferralThresholds.fit(*overall[0], static=True, **policy)
        task, C = model.head.task, model.head.mean.out_features
        tolerated = check_tolerance(tolerance, task, C)
        updated_rows = model.calibration.updated_rows if isinstance(model, CalibratedSURE) else 0
        return cls(thresholds, static, propagate, tolerated, score, (updated_rows,))

    def decide(
        self, prediction: Prediction, available: Tensor | Bool[np.ndarray, "B M"] | None = None
    ) -> Decisions:
        """Accept or defer each row, with the reason.

        Parameters
        ----------
        prediction : Prediction
            Of the model that the policy was fitted on.
        available : bool (B, M), optional
            Which modalities each row has: ``batch.available``, as the prediction knows by itself.

        Returns
        -------
        Decisions
            `accept` (B,), the `threshold` that was used (B,), and a `reason` in words (B,).

        Raises
        ------
        ValueError
            If the prediction did not take the method of the fit, is of another task or number of
            outputs, or `available` is another batch's.

        Warns
        -----
        UserWarning
            If the model was updated online since the fit: its uncertainty is another now.
        """
        self._check(prediction)
        remedy = "Fit the policy again on recent rows."
        still_valid(prediction, self.valid_for, "thresholds", remedy)
        u = uncertainty_score(prediction, self.method, self.tolerance, self.score)
        return self.thresholds.decide(u, pattern_in(prediction, available))

    def evaluate(self, prediction: Prediction, batch: Batch) -> DeferralReport:
        """Coverage and risk, overall and per pattern, on rows that were not those of the fit."""
        self._check(prediction)
        return self.thresholds.evaluate(
            *_rows(prediction, batch, self.method, self.tolerance, self.score)
        )

    def compare(self, prediction: Prediction, batch: Batch) -> pd.DataFrame:
        """Give coverage and risk per pattern, beside those of the static threshold."""
        self._check(prediction)
        rows = _rows(prediction, batch, self.method, self.tolerance, self.score)
        tables = [p.evaluate(*rows).to_dataframe() for p in (self.thresholds, self.static)]
        static = tables[1][["coverage", "accepted", "risk"]].add_prefix("static_")
        return pd.concat([tables[0], static], axis=1)

    def _check(self, prediction: Prediction) -> None:
        check_regression(prediction, self.tolerance is not None)
        check_took(prediction, self.method)
        if self.tolerance is not None and len(self.tolerance) != len(prediction.outputs):
            raise ValueError(
                f"The fit has tolerances of {len(self.tolerance)} outputs; this prediction has "
                f"{len(prediction.outputs)}. Predict with the model of the fit."
            )


def _warn_of_few_groups(validation: Batch | LatentStore, max_risk: float, delta: float) -> None:
    """Tell why everything will be deferred."""
    needed = rows_needed(max_risk, delta)
    if validation.group is not None and len(validation) < needed:
        check.warn_caller(
            f"`validation` has {len(validation)} groups. To promise rows of new groups a risk of "
            f"{max_risk} takes at least {needed}, so every case is deferred. Hold out more groups, "
            "or pass `new_groups=False` if rows to come are of these same groups.",
        )


def _rows(
    prediction: Prediction,
    batch: Batch,
    method: str,
    tolerance: tuple[float, ...] | None,
    score: str,
) -> Rows:
    """Score, loss and pattern of every row."""
    target = target_in(prediction, batch)
    u = uncertainty_score(prediction, method, tolerance, score)
    return u, loss(prediction, method, target, tolerance), pattern_in(prediction)
