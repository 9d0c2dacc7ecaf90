"""Propagation: carry a latent variance through any torch function, by two independent methods.

`taylor` and `sampling` take the same arguments and return the same `Moments`, so
`cross_check` is all it takes to see whether to believe them. This room imports torch and
`sure_pyro.equations` only, works with any function of a dictionary of tensors whose rows are
independent, and keeps nothing between two calls, so that many threads may use it. Further
methods are in `sure_pyro.propagation.more`.
"""

from sure_pyro.propagation.check import assert_agree, cross_check
from sure_pyro.propagation.covariance import FullCovariance, LowRankCovariance
from sure_pyro.propagation.delta_method import taylor
from sure_pyro.propagation.moments import Moments
from sure_pyro.propagation.monte_carlo import sampling
from sure_pyro.propagation.noise import LaplaceNoise, NormalNoise, StudentTNoise
from sure_pyro.propagation.total_variance import mixture

__all__ = [
    "Moments",
    "taylor",
    "sampling",
    "mixture",
    "cross_check",
    "assert_agree",
    "FullCovariance",
    "LowRankCovariance",
    "NormalNoise",
    "StudentTNoise",
    "LaplaceNoise",
]
