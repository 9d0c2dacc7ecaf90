"""The metrics of a comparison: what each is called, its unit, and which value is good."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEVEL = 0.9
"""Of the central intervals whose coverage and width are reported."""

SMALLER, LARGER, ONE, NOMINAL = "smaller", "larger", "one", "nominal"


@dataclass(frozen=True)
class Metric:
    """One column of the table.

    Parameters
    ----------
    name, label : str
        In the table, and as people read it, with its unit.
    good : {"smaller", "larger", "one", "nominal"} or None
        Which values are better: small ones, large ones, those near 1 by ratio, those near `LEVEL`.
        None where the metric alone does not say (a width, an attainable correlation).
    """

    name: str
    label: str
    good: str | None

    def badness(self, value):
        """Turn values into something that is smaller where the model is better.

        Parameters
        ----------
        value : float or ndarray
        """
        value = np.asarray(value, dtype=np.float64)
        if self.good == LARGER:
            return -value
        if self.good == ONE:
            with np.errstate(divide="ignore"):
                return np.abs(np.log(value))
        return np.abs(value - LEVEL) if self.good == NOMINAL else value


_ALL = (
    # the reconstruction, in standard deviations of the latent
    Metric("reconstruction_error", "reconstruction error (MSE; 1: the mean)", SMALLER),
    Metric("correlation_within", "correlation of uncertainty and error, within masks", LARGER),
    Metric("correlation_attainable", "attainable correlation, within masks", None),
    Metric("correlation_pooled", "correlation pooled over masks", LARGER),
    Metric("spearman_within", "rank correlation within masks", LARGER),
    Metric("spearman_attainable", "attainable rank correlation, within masks", None),
    Metric("spearman_pooled", "rank correlation pooled over masks", LARGER),
    Metric("variance_ratio", "claimed / actual variance of the reconstruction", ONE),
    Metric("reconstruction_nll", "NLL of the hidden latents (nats per number)", SMALLER),
    Metric("reconstruction_crps", "CRPS of the hidden latents", SMALLER),
    Metric("reconstruction_uce", "UCE of the reconstruction, by rows", SMALLER),
    Metric("reconstruction_ence", "ENCE of the reconstruction, by rows", SMALLER),
    Metric("reconstruction_coverage", "coverage of 90 % intervals of the latents", NOMINAL),
    Metric("reconstruction_width", "width of 90 % intervals of the latents", None),
    Metric("reconstruction_ause", "AUSE of the reconstruction", SMALLER),
    # the task
    Metric("score", "score (accuracy, label accuracy or R²)", LARGER),
    Metric("f1", "F1, macro", LARGER),
    Metric("rmse", "RMSE, units of the target", SMALLER),
    Metric("nll", "NLL of the target (nats)", SMALLER),
    Metric("brier", "Brier score", SMALLER),
    Metric("crps", "CRPS, units of the target", SMALLER),
    Metric("ece", "ECE", SMALLER),
    Metric("uce", "UCE, squared units of the target", SMALLER),
    Metric("ence", "ENCE", SMALLER),
    Metric("coverage", "coverage of 90 % intervals of the target", NOMINAL),
    Metric("width", "width of 90 % intervals, units of the target", None),
    Metric("output_ratio", "claimed / actual error of the prediction", ONE),
    Metric("output_correlation", "correlation of doubt and loss, within masks", LARGER),
    Metric("output_spearman", "rank correlation of doubt and loss, within masks", LARGER),
    Metric("ause", "AUSE of the prediction", SMALLER),
    Metric("aurc", "AURC", SMALLER),
    Metric("excess_aurc", "excess AURC", SMALLER),
    # what it costs
    Metric("fit_seconds", "seconds to fit", SMALLER),
    Metric("predict_seconds", "seconds to predict", SMALLER),
    Metric("memory", "peak memory beyond the start (MB)", SMALLER),
    Metric("parameters", "trained numbers", SMALLER),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}

COSTS = ("fit_seconds", "predict_seconds", "memory", "parameters")


def metric(name: str) -> Metric:
    """Look up a metric.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in METRICS:
        raise ValueError(f"`metric` must be one of {list(METRICS)}; got {name!r}.")
    return METRICS[name]
