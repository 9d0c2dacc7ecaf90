"""The metrics that tables show: what each is called, computed from, its unit, and what is good.

A metric belongs to one or several *kinds* of arrays. The arrays of a kind have names, and a
function gets those that its parameters name; where one is lacking, the metric is left out. One
score per row is averaged.

==========  =====================================================================================
kind        arrays, of N rows
==========  =====================================================================================
CLASSES     ``probability`` (N, K), ``label`` (N,); where there is no ``score`` beside them,
            ``right`` (N,), 0 or 1
LABELS      ``probability``, ``target`` (N, K), 0 or 1
NUMBERS     ``mean``, ``target``; from a variance on, ``variance``, ``squared_error``: (N, C)
RANKING     of any task, (N,): ``score`` (1 is perfect), ``loss``, ``e`` (the error whose size the
            uncertainty is to tell), ``u`` (the uncertainty score), ``pattern`` (the mask)
LATENTS     of one modality that was hidden: ``mean``, ``variance``, ``target`` (N, D)
PAIRS       of every row and hidden modality, (N,): ``variance``, ``squared_error``, ``weight``
            (how many entries they are the mean of), ``u``, ``e``, ``pattern``, and the
            ``attainable`` and ``attainable_spearman`` correlation of the pair's pattern
==========  =====================================================================================

Parameters named ``level`` are levels of intervals or sets.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from sure_pyro.metrics.brier import base_rate_brier, discrimination, miscalibration
from sure_pyro.metrics.correlations import (
    attainable_mean,
    attainable_spearman_mean,
    correlation,
    spearman,
    within,
    within_spearman,
)
from sure_pyro.metrics.intervals import (
    LEVEL,
    central_coverage,
    central_width,
    pit_distance,
    sharpness,
)
from sure_pyro.metrics.patterns import as_number
from sure_pyro.metrics.point import (
    class_f1,
    label_set_f1,
    mean_confidence,
    mean_score,
    rmse,
    share_right,
)
from sure_pyro.metrics.ratio import (
    brier_ratio,
    error_ratio,
    label_brier_ratio,
    variance_ratio,
    weighted_variance_ratio,
)
from sure_pyro.metrics.reliability import adaptive_ece, ece, ence, label_ece, uce
from sure_pyro.metrics.risk_curves import aurc, excess_aurc
from sure_pyro.metrics.scores import (
    bernoulli_brier,
    bernoulli_nll,
    categorical_brier,
    categorical_nll,
    gaussian_crps,
    gaussian_nll,
    squared_error,
)
from sure_pyro.metrics.sets import set_coverage, set_size
from sure_pyro.metrics.sparsification_curves import ause

CLASSES, LABELS, NUMBERS, RANKING = "classes", "labels", "numbers", "ranking"
R2 = "R²"
LATENTS, PAIRS = "latents", "pairs"
SMALLER, LARGER, ONE, NOMINAL = "smaller", "larger", "one", "nominal"


@dataclass(frozen=True)
class Metric:
    """One metric of the tables.

    Parameters
    ----------
    name : str
        In the tables.
    functions : mapping of str to Callable
        By kind of arrays; none where the value is measured elsewhere, as seconds are.
    label : str
        As people read it.
    better : {"smaller", "larger", "one", "nominal"}, optional
        Which values are better: small ones, large ones, those near 1 by ratio, those near the
        level. None where the metric alone does not say (a width, an attainable correlation).
    unit : str
    by_task : mapping of str to str
        Labels by task, of a metric that is another one for each.
    """

    name: str
    functions: Mapping[str, Callable]
    label: str
    better: str | None = None
    unit: str = ""
    by_task: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def label_for(self, task: str) -> str:
        """What it is called for a task."""
        return self.by_task.get(task, self.label)

    def title_for(self, task: str) -> str:
        """The same with its unit."""
        return self.by_task.get(task, self.title)

    def of(self, arrays: Mapping[str, Mapping[str, Any]], level: float = LEVEL) -> Any:
        """Value or, of a scoring rule, one score per row; None where arrays are lacking."""
        for kind in self.functions.keys() & arrays.keys():
            needs, given = parameters(self.functions[kind]), {**arrays[kind], "level": level}
            if needs <= given.keys():
                return self.functions[kind](**{name: given[name] for name in needs})
        return None

    @property
    def has_level(self) -> bool:
        """Whether it is one of intervals or sets."""
        return any("level" in parameters(function) for function in self.functions.values())

    def badness(self, value):
        """Turn values into something that is smaller where the model is better.

        Parameters
        ----------
        value : float or ndarray
        """
        value = np.asarray(value, dtype=np.float64)
        if self.better == LARGER:
            return -value
        if self.better == ONE:
            with np.errstate(divide="ignore"):
                return np.abs(np.log(value))
        return np.abs(value - LEVEL) if self.better == NOMINAL else value


_ALL = (
    # the reconstruction, in standard deviations of the latent
    Metric("reconstruction_error", {LATENTS: squared_error}, "reconstruction MSE", SMALLER),
    Metric("correlation_within", {PAIRS: within}, "correlation within masks", LARGER),
    Metric("correlation_attainable", {PAIRS: attainable_mean}, "attainable correlation"),
    Metric("correlation_pooled", {PAIRS: correlation}, "correlation pooled over masks", LARGER),
    Metric("spearman_within", {PAIRS: within_spearman}, "rank correlation within masks", LARGER),
    Metric("spearman_attainable", {PAIRS: attainable_spearman_mean}, "attainable rank correlation"),
    Metric("spearman_pooled", {PAIRS: spearman}, "rank correlation pooled over masks", LARGER),
    Metric(
        "variance_ratio", {PAIRS: weighted_variance_ratio}, "predicted / observed variance", ONE
    ),
    Metric("reconstruction_nll", {LATENTS: gaussian_nll}, "NLL of the latents", SMALLER, "nats"),
    Metric("reconstruction_crps", {LATENTS: gaussian_crps}, "CRPS of the latents", SMALLER),
    Metric("reconstruction_uce", {PAIRS: uce}, "UCE of the latents", SMALLER),
    Metric("reconstruction_ence", {PAIRS: ence}, "ENCE of the latents", SMALLER),
    Metric("reconstruction_coverage", {LATENTS: central_coverage}, "latents covered", NOMINAL),
    Metric("reconstruction_width", {LATENTS: central_width}, "width of intervals of the latents"),
    Metric("reconstruction_ause", {PAIRS: ause}, "AUSE of the reconstruction", SMALLER),
    # the prediction
    Metric(
        "score",
        {RANKING: mean_score},
        "score",
        LARGER,
        "accuracy, label accuracy or R²",
        {"classification": "accuracy", "multilabel": "label accuracy", "regression": R2},
    ),
    Metric("accuracy", {CLASSES: share_right}, "accuracy", LARGER),
    Metric("f1", {CLASSES: class_f1, LABELS: label_set_f1}, "F1", LARGER, "macro"),
    Metric("rmse", {NUMBERS: rmse}, "RMSE", SMALLER, "units of the target"),
    Metric(
        "nll",
        {CLASSES: categorical_nll, LABELS: bernoulli_nll, NUMBERS: gaussian_nll},
        "NLL",
        SMALLER,
        "nats",
    ),
    Metric("brier", {CLASSES: categorical_brier, LABELS: bernoulli_brier}, "Brier score", SMALLER),
    Metric("miscalibration", {CLASSES: miscalibration}, "Brier: miscalibration", SMALLER),
    Metric("discrimination", {CLASSES: discrimination}, "Brier: discrimination", LARGER),
    Metric("uncertainty", {CLASSES: base_rate_brier}, "Brier: of the base rate"),
    Metric("crps", {NUMBERS: gaussian_crps}, "CRPS", SMALLER, "units of the target"),
    Metric("ece", {CLASSES: ece, LABELS: label_ece}, "ECE", SMALLER),
    Metric("adaptive_ece", {CLASSES: adaptive_ece}, "adaptive ECE", SMALLER),
    Metric("sharpness", {CLASSES: mean_confidence, NUMBERS: sharpness}, "sharpness"),
    Metric("uce", {NUMBERS: uce}, "UCE", SMALLER, "squared units of the target"),
    Metric("ence", {NUMBERS: ence}, "ENCE", SMALLER),
    Metric("pit_distance", {NUMBERS: pit_distance}, "distance of the PIT from uniform", SMALLER),
    Metric(
        "coverage",
        {CLASSES: set_coverage, NUMBERS: central_coverage},
        f"{LEVEL:.0%} coverage",
        NOMINAL,
    ),
    Metric("width", {CLASSES: set_size, NUMBERS: central_width}, "width of intervals or sets"),
    Metric(
        "output_ratio",
        {CLASSES: brier_ratio, LABELS: label_brier_ratio, NUMBERS: variance_ratio},
        "predicted / observed squared error",
        ONE,
    ),
    Metric("error_ratio", {CLASSES: error_ratio}, "predicted / observed error rate", ONE),
    Metric("output_correlation", {RANKING: within}, "correlation with the loss, in masks", LARGER),
    Metric("output_spearman", {RANKING: within_spearman}, "rank correlation, in masks", LARGER),
    Metric("ause", {RANKING: ause}, "AUSE", SMALLER),
    Metric("pearson", {RANKING: correlation}, "correlation with the error", LARGER),
    Metric("spearman", {RANKING: spearman}, "rank correlation with the error", LARGER),
    Metric("aurc", {RANKING: aurc}, "AURC", SMALLER, "units of the loss"),
    Metric("excess_aurc", {RANKING: excess_aurc}, "excess AURC", SMALLER, "units of the loss"),
    # what it costs: measured where the work is done
    Metric("fit_seconds", {}, "fit", SMALLER, "s"),
    Metric("predict_seconds", {}, "predict", SMALLER, "s"),
    Metric("parameters", {}, "trained numbers", SMALLER),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""By name, in the order of the tables: a new metric is a function and a line above."""

COSTS = tuple(name for name, metric in METRICS.items() if not metric.functions)


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


def compute(
    arrays: Mapping[str, Mapping[str, Any]],
    levels: Sequence[float] | None = None,
    names: Collection[str] | None = None,
) -> dict[str, float]:
    """Compute every metric of the registry for which the arrays are at hand.

    Parameters
    ----------
    arrays : mapping of str to mapping of str to ndarray
        By kind and name: see the module's docstring.
    levels : sequence of float, optional
        Of intervals and sets: ``"coverage/0.5"`` and so on. None: `LEVEL`, called ``"coverage"``.
    names : collection of str, optional
        Of the metrics that are wanted, instead of all.

    Returns
    -------
    dict of str to float
        By name, in the order of the registry.
    """
    found = compute_scores(arrays, levels, names)
    return {name: as_number(value) for name, value in found.items()}


def compute_scores(
    arrays: Mapping[str, Mapping[str, Any]],
    levels: Sequence[float] | None = None,
    names: Collection[str] | None = None,
) -> dict[str, Any]:
    """As `compute`, but a score per row stays one."""
    found: dict[str, Any] = {}
    for name, m in METRICS.items():
        if names is not None and name not in names:
            continue
        if m.has_level and levels is not None:
            found |= {f"{name}/{level:g}": m.of(arrays, level) for level in levels}
        else:
            found[name] = m.of(arrays)
    return {name: value for name, value in found.items() if value is not None}


@cache
def parameters(function: Callable) -> frozenset[str]:
    """Names of the parameters that a function can not do without."""
    needed = inspect.signature(function).parameters.values()
    return frozenset(p.name for p in needed if p.default is inspect.Parameter.empty)
