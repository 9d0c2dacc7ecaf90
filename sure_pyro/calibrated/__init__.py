"""Calibration meets the model: what `sure_pyro.calibration` computes on arrays, on predictions."""

from sure_pyro.calibrated.conformal import Conformal, conformal
from sure_pyro.calibrated.conformal_latents import ConformalLatents, conformal_latents
from sure_pyro.calibrated.deferral import DeferralPolicy
from sure_pyro.calibrated.maps import OutputTemperature, OutputVariance, ReconstructionMaps
from sure_pyro.calibrated.model import CalibratedPrediction, CalibratedSURE, Calibration
from sure_pyro.calibrated.recalibrate import recalibrate

__all__ = [
    "recalibrate", "CalibratedSURE", "CalibratedPrediction", "Calibration",
    "conformal", "Conformal", "conformal_latents", "ConformalLatents",
    "DeferralPolicy",
    "ReconstructionMaps", "OutputVariance", "OutputTemperature",
]  # fmt: skip
