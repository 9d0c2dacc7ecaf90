"""`recalibrate`: make the variances of a fitted model right, per mask pattern, on held-out rows.

In the order in which a prediction is made: first the variances of the reconstructions, on latents
that are hidden on purpose; then, with those propagated, the variances or probabilities of the
outputs. What each map is, and how rare patterns borrow from the others, is told in
`sure_pyro.calibration.arrays`.
"""

from __future__ import annotations

from typing import cast, get_args

import numpy as np

from sure_pyro.calibration.arrays.shrinkage import PRIOR_SCALE
from sure_pyro.calibration.held_out import held_out, masked_groups, target_array
from sure_pyro.calibration.maps import (
    Evidence,
    OutputMap,
    OutputTemperature,
    OutputVariance,
    ReconstructionMaps,
    VarianceKind,
)
from sure_pyro.calibration.model import CalibratedSURE, Calibration, before_outputs
from sure_pyro.data import Batch
from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.data.store import LatentStore
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.evaluation.hidden import hidden_latents
from sure_pyro.evaluation.rows import rows_for
from sure_pyro.metrics import check
from sure_pyro.models import SURE, Prediction

VARIANCE_KINDS = get_args(VarianceKind)


def recalibrate(
    model: SURE,
    validation: Batch | LatentStore,
    *,
    reconstruction: str = "scale",
    output: str | None = None,
    propagate: str = "taylor",
    masks: str | None = None,
    pseudo_count: float | None = None,
    prior_scale: float = PRIOR_SCALE,
    num_samples: int = 200,
    seed: int = 0,
) -> CalibratedSURE:
    """Calibrate a fitted model per mask pattern.

    Parameters
    ----------
    model : SURE
        Fitted. It is left as it is; a calibrated one starts from the model beneath.
    validation : Batch
        Held-out rows with targets, which were not trained on: whole groups where there are groups.
        What it has is hidden on purpose, so it should have much; rows that lack a modality say
        nothing about its reconstruction.
    reconstruction : {"scale", "affine", "isotonic", "none"}
        Map of the reconstruction variances, by target modality and pattern of what is visible.
    output : {"scale", "affine", "isotonic", "temperature", "none"}, optional
        Map of the total variance of each output (regression), or a temperature (classes and
        labels). By default ``"scale"`` or ``"temperature"``, as the task has it.
    propagate : {"taylor", "sampling", "both", "none"}
        The methods that the calibrated model shall know; each has output maps of its own.
    masks : {"every", "random", "recorded"}, optional
        Every row under every mask that it can have; under one random mask of every size; or as it
        was recorded. None: ``"every"`` up to 6 modalities, else ``"random"``.
    pseudo_count : float, optional
        How many rows the overall fit counts for, against a pattern's own. None estimates it from
        how much the patterns differ beyond chance.
    prior_scale : float
        Of the Cauchy prior of each overall log factor: how far the model is believed before
        the rows are seen. With few rows, or few groups of rows that err together, the factor stays
        near 1, and one group alone changes none. Infinite: the rows alone decide, however few.
    num_samples, seed : int
        Of the sampling method, and of random masks.

    Returns
    -------
    CalibratedSURE
        With the same `predict`, and `save` and `load`.

    Raises
    ------
    ValueError
        If the model is not fitted, the rows have no targets or do not fit the model (classes go by
        their names), or a choice does not fit the task.

    Notes
    -----
    A pattern that was never met gets the overall fit, and ``prediction.seen`` says so. Rows that
    chose the best epoch look a little better than new ones: where there are enough, cut a part for
    calibration alone. Where the world drifts, `CalibratedSURE.update_online` takes in outcomes as
    they become known.
    """
    base = model.uncalibrated() if isinstance(model, CalibratedSURE) else model
    validation = rows_for(base, validation)
    kind = _checked(model, reconstruction, output)
    masked = held_out(validation, masks, seed)
    evidence = Evidence(
        masked.pattern,
        masked.row,
        _groups(validation, masked, prior_scale),
        pseudo_count,
        prior_scale,
    )
    maps = None
    if reconstruction != "none":
        point = base.predict(masked, "none", num_weights=0)
        hidden = hidden_latents(base, masked, point.reconstruction)
        variance = cast(VarianceKind, reconstruction)
        maps = ReconstructionMaps.fit(hidden, validation.modalities, variance, evidence)
    methods = {"none", *(("taylor", "sampling") if propagate == "both" else (propagate,))}
    before = Calibration(maps, dict.fromkeys(sorted(methods)), len(validation))
    predicted = before_outputs(base, before, masked, num_samples, seed)
    after = {
        method: None if kind == "none" else _output_map(predicted, method, masked, kind, evidence)
        for method in before.output
    }
    return CalibratedSURE.of(base, Calibration(maps, after, len(validation)))


def _groups(validation: Batch | LatentStore, masked: MaskedRows, prior_scale: float) -> np.ndarray:
    """Which masked rows err together; without groups, a row with itself."""
    if validation.group is None or len(validation.group.unique()) > 1:
        return masked_groups(masked)
    if np.isfinite(prior_scale):
        check.warn_caller(
            "All rows of `validation` are of one group, and one group can not tell how much groups "
            "differ: no overall factor is changed. Hold out more groups, or pass "
            "`prior_scale=np.inf` to believe this one.",
        )
    return np.zeros_like(masked.row)


def _output_map(
    predicted: Prediction, method: str, masked: MaskedRows, kind: str, evidence: Evidence
) -> OutputMap:
    y = target_array(masked, predicted.task)
    if kind == "temperature":
        return OutputTemperature.fit(as_float64(predicted.probabilities[method]), y, evidence)
    return OutputVariance.fit(predicted.moments[method], y, cast(VarianceKind, kind), evidence)


def _checked(model: SURE, reconstruction: str, output: str | None) -> str:
    """Refuse maps that do not fit the task, and choose that of the outputs."""
    check.choice("reconstruction", reconstruction, (*VARIANCE_KINDS, "none"))
    regression = model.head.task == "regression"
    fitting = VARIANCE_KINDS if regression else ("temperature",)
    if output is None:
        return fitting[0]
    if output not in (*fitting, "none"):
        raise ValueError(
            f"`output` must be one of {[*fitting, 'none']} for {model.head.task}; got {output!r}."
        )
    return output
