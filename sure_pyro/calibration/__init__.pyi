"""What `sure_pyro.calibration` offers; imported when it is asked for (see ``__init__.py``)."""

from . import arrays
from .conformal_outputs import Conformal, conformal
from .conformal_reconstructions import ConformalLatents, conformal_latents
from .deferral import DeferralPolicy
from .maps import OutputTemperature, OutputVariance, ReconstructionMaps
from .model import CalibratedPrediction, CalibratedSURE, Calibration
from .recalibration import recalibrate

__all__ = [
    "recalibrate",
    "CalibratedSURE",
    "CalibratedPrediction",
    "Calibration",
    "conformal",
    "Conformal",
    "conformal_latents",
    "ConformalLatents",
    "DeferralPolicy",
    "ReconstructionMaps",
    "OutputVariance",
    "OutputTemperature",
    "arrays",
]
