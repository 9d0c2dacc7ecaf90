"""Metrics: arrays in, numbers out, for any model's numbers; `METRICS` lists what tables show.

`pattern` is everywhere an array (N,) of strings or integers that says which modalities a row has
(`mask_pattern` makes it).
"""

from sure_pyro.metrics.attainable import AttainableCorrelation, attainable_correlation
from sure_pyro.metrics.bootstrap import Interval, bootstrap_interval
from sure_pyro.metrics.brier import BrierDecomposition, brier_decomposition
from sure_pyro.metrics.correlations import (
    WithinCorrelation,
    correlation,
    row_pair,
    within_pattern_correlation,
)
from sure_pyro.metrics.intervals import (
    IntervalCoverage,
    central_interval,
    gaussian_coverage,
    interval_coverage,
    pit,
    sharpness,
)
from sure_pyro.metrics.labels import label_f1, label_metrics, predicted_labels
from sure_pyro.metrics.patterns import PerPattern, mask_pattern, per_pattern
from sure_pyro.metrics.point import f1, rmse
from sure_pyro.metrics.ratio import variance_ratio
from sure_pyro.metrics.reconstructed import Reconstructability, reconstructability
from sure_pyro.metrics.registry import LEVEL, METRICS, Metric, compute, metric
from sure_pyro.metrics.reliability import (
    Bins,
    adaptive_ece,
    confidence_bins,
    ece,
    ence,
    uce,
    variance_bins,
)
from sure_pyro.metrics.risk_curves import RiskCoverage, aurc, excess_aurc, risk_coverage
from sure_pyro.metrics.scores import (
    bernoulli_brier,
    bernoulli_nll,
    categorical_brier,
    categorical_nll,
    gaussian_crps,
    gaussian_nll,
    squared_error,
    zero_one_loss,
)
from sure_pyro.metrics.sentiment import SENTIMENT, sentiment_metrics
from sure_pyro.metrics.sets import probable_sets, set_coverage, set_size
from sure_pyro.metrics.sparsification_curves import Sparsification, ause, sparsification
from sure_pyro.metrics.topk import top_k_accuracy

__all__ = [
    # what tables show
    "METRICS",
    "Metric",
    "metric",
    "compute",
    "LEVEL",
    # tables and intervals of any metric
    "PerPattern",
    "per_pattern",
    "mask_pattern",
    "Interval",
    "bootstrap_interval",
    # ranking: does uncertainty go with error?
    "correlation",
    "within_pattern_correlation",
    "WithinCorrelation",
    "row_pair",
    "attainable_correlation",
    "AttainableCorrelation",
    "risk_coverage",
    "RiskCoverage",
    "aurc",
    "excess_aurc",
    "sparsification",
    "Sparsification",
    "ause",
    # calibration: are the variances and probabilities right?
    "variance_ratio",
    "gaussian_coverage",
    "IntervalCoverage",
    "central_interval",
    "interval_coverage",
    "pit",
    "sharpness",
    "probable_sets",
    "set_coverage",
    "set_size",
    "Bins",
    "confidence_bins",
    "variance_bins",
    "ece",
    "adaptive_ece",
    "uce",
    "ence",
    # scores per row
    "categorical_nll",
    "bernoulli_nll",
    "gaussian_nll",
    "gaussian_crps",
    "categorical_brier",
    "bernoulli_brier",
    "squared_error",
    "zero_one_loss",
    "brier_decomposition",
    "BrierDecomposition",
    # point predictions, and named tasks
    "f1",
    "rmse",
    "label_f1",
    "label_metrics",
    "predicted_labels",
    "SENTIMENT",
    "sentiment_metrics",
    "top_k_accuracy",
    # what could be reconstructed at all
    "reconstructability",
    "Reconstructability",
]
