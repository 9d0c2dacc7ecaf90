"""Making uncertainty right: recalibration, conformal prediction and deferral, per mask pattern.

This room takes numpy arrays and gives numpy arrays: it works with any model's numbers. Whether an
uncertainty is right is measured by `sure_pyro.metrics`.
"""

from sure_pyro.calibration.conformal import ConformalIntervals, ConformalSets, Intervals, Sets
from sure_pyro.calibration.deferral import (
    Decisions,
    DeferralReport,
    DeferralThresholds,
    risk_coverage_by_pattern,
)
from sure_pyro.calibration.recalibration import Recalibrated, VarianceRecalibration
from sure_pyro.calibration.risk_control import controlled_threshold, risk_p_value
from sure_pyro.calibration.temperature import TemperatureScaling

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
