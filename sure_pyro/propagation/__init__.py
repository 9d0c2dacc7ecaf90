"""Propagation: carry a latent variance through any torch function, by two independent roads.

`taylor` and `sampling` take the same arguments and return the same `Moments`, so
`cross_check` is all it takes to see whether to believe them. This room imports torch only and
works with any function of a dictionary of tensors whose rows are independent.
"""

from sure_pyro.propagation.check import CrossCheck, assert_agree, cross_check
from sure_pyro.propagation.covariance import FullCovariance, LowRankCovariance
from sure_pyro.propagation.mixture import mixture
from sure_pyro.propagation.moment_matching import moment_matching
from sure_pyro.propagation.moments import Moments
from sure_pyro.propagation.noise import Laplace, Normal, StudentT
from sure_pyro.propagation.probability import to_probability
from sure_pyro.propagation.recommend import Recommendation, recommend
from sure_pyro.propagation.sampling import sampling
from sure_pyro.propagation.taylor import taylor
from sure_pyro.propagation.unscented import unscented

__all__ = [
    "Moments",
    "taylor",
    "sampling",
    "unscented",
    "moment_matching",
    "mixture",
    "cross_check",
    "assert_agree",
    "CrossCheck",
    "to_probability",
    "recommend",
    "Recommendation",
    "FullCovariance",
    "LowRankCovariance",
    "Normal",
    "StudentT",
    "Laplace",
]
