"""Approximate posteriors of the missing latents and of the trained weights."""

from sure_pyro.guides.amortised import AmortisedGuide
from sure_pyro.guides.base import WeightGuide, weight_guide
from sure_pyro.guides.dropout import DropoutGuide
from sure_pyro.guides.ensemble import EnsembleGuide
from sure_pyro.guides.laplace import LaplaceGuide
from sure_pyro.guides.program import WeightProgram
from sure_pyro.guides.reconstructor import ReconstructorGuide
from sure_pyro.guides.swag import SWAGGuide
from sure_pyro.guides.trained import TrainedGuide, fit_weights
from sure_pyro.guides.variational import LowRankGuide, MAPGuide, MeanFieldGuide, VariationalGuide

__all__ = [
    "ReconstructorGuide",
    "AmortisedGuide",
    "WeightProgram",
    "WeightGuide",
    "weight_guide",
    "TrainedGuide",
    "fit_weights",
    "VariationalGuide",
    "MAPGuide",
    "MeanFieldGuide",
    "LowRankGuide",
    "DropoutGuide",
    "EnsembleGuide",
    "LaplaceGuide",
    "SWAGGuide",
]
