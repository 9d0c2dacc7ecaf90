"""Calibration of anybody's model, per mask pattern: numpy arrays in, numpy arrays out.

Whether an uncertainty is right is measured by `sure_pyro.metrics`.
"""

from sure_pyro.calibration.arrays.conformal import (
    ConformalIntervals,
    ConformalSets,
    Intervals,
    Sets,
)
from sure_pyro.calibration.arrays.deferral import (
    Decisions,
    DeferralReport,
    DeferralThresholds,
    risk_coverage_by_pattern,
)
from sure_pyro.calibration.arrays.risk_control import controlled_threshold, risk_p_value
from sure_pyro.calibration.arrays.temperature import TemperatureScaling
from sure_pyro.calibration.arrays.variance import Recalibrated, VarianceRecalibration

__all__ = [
    # making it right, per mask pattern
    "VarianceRecalibration",
    "TemperatureScaling",
    "Recalibrated",
    "ConformalIntervals",
    "Intervals",
    "ConformalSets",
    "Sets",
    # handing over
    "DeferralThresholds",
    "Decisions",
    "DeferralReport",
    "risk_coverage_by_pattern",
    "controlled_threshold",
    "risk_p_value",
]
