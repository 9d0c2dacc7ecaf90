"""Reconstructors, heads, and `SURE`, which composes them."""

from sure_pyro.models.encode import encode_store
from sure_pyro.models.evidence import EvidentialLocScale, NormalInverseGamma
from sure_pyro.models.gaussian import GaussianReconstructor
from sure_pyro.models.heads import BernoulliHead, CategoricalHead, GaussianHead, Head, Output
from sure_pyro.models.hiding import hide
from sure_pyro.models.latents import Latents
from sure_pyro.models.masked import MaskedReconstructor
from sure_pyro.models.pairwise import PairwiseReconstructor
from sure_pyro.models.prediction import Prediction
from sure_pyro.models.reconstructor import LocScale, Reconstructor
from sure_pyro.models.separate import SeparateScale
from sure_pyro.models.space import LatentSpace
from sure_pyro.models.sure import SURE

__all__ = [
    "encode_store",
    "Latents",
    "LatentSpace",
    "hide",
    "LocScale",
    "Reconstructor",
    "EvidentialLocScale",
    "NormalInverseGamma",
    "GaussianReconstructor",
    "MaskedReconstructor",
    "PairwiseReconstructor",
    "SeparateScale",
    "Head",
    "Output",
    "GaussianHead",
    "CategoricalHead",
    "BernoulliHead",
    "SURE",
    "Prediction",
]
