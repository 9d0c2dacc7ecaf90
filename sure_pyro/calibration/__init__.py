"""Is the uncertainty right? Metrics, recalibration, conformal prediction and deferral, per mask.

This room takes numpy arrays and gives numpy arrays: it works with any model's numbers. `pattern`
is everywhere an array (N,) of strings or integers that says which modalities a row has
(`mask_pattern` makes it).
"""

from sure_pyro.calibration.attainable import AttainableCorrelation, attainable_correlation
from sure_pyro.calibration.bootstrap import Interval, bootstrap_interval
from sure_pyro.calibration.brier import BrierDecomposition, brier_decomposition
from sure_pyro.calibration.conformal import ConformalIntervals, ConformalSets, Intervals, Sets
from sure_pyro.calibration.correlation import (
    WithinCorrelation,
    correlation,
    row_pair,
    within_pattern_correlation,
)
from sure_pyro.calibration.deferral import (
    Decisions,
    DeferralReport,
    DeferralThresholds,
    risk_coverage_by_pattern,
)
from sure_pyro.calibration.files import read_json, write_json
from sure_pyro.calibration.intervals import (
    IntervalCoverage,
    central_interval,
    gaussian_coverage,
    interval_coverage,
    pit,
    sharpness,
)
from sure_pyro.calibration.patterns import PerPattern, mask_pattern, per_pattern
from sure_pyro.calibration.point import accuracy, f1, mae, rmse
from sure_pyro.calibration.recalibration import Recalibrated, VarianceRecalibration
from sure_pyro.calibration.reconstructability import Reconstructability, reconstructability
from sure_pyro.calibration.reliability import (
    Bins,
    adaptive_ece,
    confidence_bins,
    ece,
    ence,
    uce,
    variance_bins,
)
from sure_pyro.calibration.risk_control import controlled_threshold, risk_p_value
from sure_pyro.calibration.risk_coverage import RiskCoverage, aurc, excess_aurc, risk_coverage
from sure_pyro.calibration.scores import (
    bernoulli_brier,
    bernoulli_nll,
    categorical_brier,
    categorical_nll,
    gaussian_crps,
    gaussian_nll,
    squared_error,
    zero_one_loss,
)
from sure_pyro.calibration.sets import probable_sets, set_coverage, set_size
from sure_pyro.calibration.sparsification import Sparsification, ause, sparsification
from sure_pyro.calibration.temperature import TemperatureScaling
from sure_pyro.calibration.variance_ratio import variance_ratio

__all__ = [
    # tables and intervals of any metric
    "PerPattern", "per_pattern", "mask_pattern", "Interval", "bootstrap_interval",
    # ranking: does uncertainty go with error?
    "correlation", "within_pattern_correlation", "WithinCorrelation", "row_pair",
    "attainable_correlation", "AttainableCorrelation",
    "risk_coverage", "RiskCoverage", "aurc", "excess_aurc",
    "sparsification", "Sparsification", "ause",
    # size: are the variances and probabilities right?
    "variance_ratio", "gaussian_coverage", "IntervalCoverage", "central_interval",
    "interval_coverage", "pit", "sharpness", "probable_sets", "set_coverage", "set_size",
    "Bins", "confidence_bins", "variance_bins", "ece", "adaptive_ece", "uce", "ence",
    # scores per row
    "categorical_nll", "bernoulli_nll", "gaussian_nll", "gaussian_crps",
    "categorical_brier", "bernoulli_brier", "squared_error", "zero_one_loss",
    "brier_decomposition", "BrierDecomposition",
    # point predictions
    "accuracy", "f1", "rmse", "mae",
    # what could be reconstructed at all
    "reconstructability", "Reconstructability",
    # making it right, per mask pattern
    "VarianceRecalibration", "TemperatureScaling", "Recalibrated",
    "ConformalIntervals", "Intervals", "ConformalSets", "Sets",
    # handing over
    "DeferralThresholds", "Decisions", "DeferralReport", "risk_coverage_by_pattern",
    "controlled_threshold", "risk_p_value",
    # JSON on disk, for everything with `to_dict` and `from_dict`
    "write_json", "read_json",
]  # fmt: skip
