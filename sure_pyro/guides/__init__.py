"""Approximate posteriors of the missing latents and of the trained weights."""

from sure_pyro.guides.base import WeightGuide, weight_guide
from sure_pyro.guides.curvature import diagonal_fisher, full_fisher
from sure_pyro.guides.dropout import DropoutGuide
from sure_pyro.guides.laplace import LaplaceGuide
from sure_pyro.guides.normal import NormalGuide
from sure_pyro.guides.program import WeightProgram
from sure_pyro.guides.reconstructor import ReconstructorGuide
from sure_pyro.guides.trained import TrainedGuide, fit_weights
from sure_pyro.guides.variational import (
    Approximation,
    LowRankGuide,
    MAPGuide,
    MeanFieldGuide,
    VariationalGuide,
)

__all__ = [
    "ReconstructorGuide", "WeightProgram", "WeightGuide", "weight_guide", "NormalGuide",
    "TrainedGuide", "fit_weights", "VariationalGuide", "Approximation", "MAPGuide",
    "MeanFieldGuide", "LowRankGuide", "DropoutGuide", "LaplaceGuide", "full_fisher",
    "diagonal_fisher",
]  # fmt: skip
