"""Metrics: arrays in, numbers out, for any model's numbers; `METRICS` lists what tables show.

`pattern` is everywhere an array (N,) of strings or integers that says which modalities a row has
(`mask_pattern` makes it).
"""

from sure_pyro.metrics.attainable import attainable_correlation
from sure_pyro.metrics.bootstrap import bootstrap_interval
from sure_pyro.metrics.brier import brier_decomposition
from sure_pyro.metrics.correlations import correlation, row_pair, within_pattern_correlation
from sure_pyro.metrics.intervals import gaussian_coverage, pit, sharpness
from sure_pyro.metrics.labels import label_metrics
from sure_pyro.metrics.patterns import mask_pattern, per_pattern
from sure_pyro.metrics.point import f1, rmse
from sure_pyro.metrics.ratio import variance_ratio
from sure_pyro.metrics.reconstructed import reconstructability
from sure_pyro.metrics.registry import METRICS, compute, metric
from sure_pyro.metrics.reliability import confidence_bins, ece, ence, uce, variance_bins
from sure_pyro.metrics.risk_curves import aurc, risk_coverage
from sure_pyro.metrics.scores import (
    categorical_brier,
    categorical_nll,
    gaussian_crps,
    gaussian_nll,
    zero_one_loss,
)
from sure_pyro.metrics.sentiment import sentiment_metrics
from sure_pyro.metrics.sparsification_curves import ause, sparsification
from sure_pyro.metrics.topk import top_k_accuracy

__all__ = [
    # what tables show
    "METRICS",
    "metric",
    "compute",
    # tables and intervals of any metric
    "per_pattern",
    "mask_pattern",
    "bootstrap_interval",
    # ranking: does uncertainty go with error?
    "correlation",
    "within_pattern_correlation",
    "row_pair",
    "attainable_correlation",
    "risk_coverage",
    "aurc",
    "sparsification",
    "ause",
    # calibration: are the variances and probabilities right?
    "variance_ratio",
    "gaussian_coverage",
    "pit",
    "sharpness",
    "confidence_bins",
    "variance_bins",
    "ece",
    "uce",
    "ence",
    # scores per row
    "categorical_nll",
    "gaussian_nll",
    "gaussian_crps",
    "categorical_brier",
    "zero_one_loss",
    "brier_decomposition",
    # point predictions, and named tasks
    "f1",
    "rmse",
    "label_metrics",
    "sentiment_metrics",
    "top_k_accuracy",
    # what could be reconstructed at all
    "reconstructability",
]
