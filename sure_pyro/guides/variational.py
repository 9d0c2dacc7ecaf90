"""Guides that are trained by the ELBO: a point estimate, mean-field Normal, low-rank Normal.

Pyro's own autoguides on a `WeightProgram`. What is kept in the end is not the autoguide but the
Normal that it stands for (`NormalGuide`), which needs no parameter store and no first call.
"""

from abc import abstractmethod
from typing import Any, ClassVar

import pyro
import torch
from pyro.infer.autoguide import (
    AutoDelta,
    AutoGuide,
    AutoLowRankMultivariateNormal,
    AutoNormal,
)
from pyro.infer.autoguide.initialization import init_to_value
from torch import Tensor

from sure_pyro.guides.curvature import diagonal_fisher
from sure_pyro.guides.laplace import prior_precision
from sure_pyro.guides.normal import NormalGuide, unflatten
from sure_pyro.guides.program import WeightProgram
from sure_pyro.guides.trained import TrainedGuide
from sure_pyro.models.reconstructor import LocalPyroModule


class Approximation(LocalPyroModule):
    """An autoguide with parameters of its own, which exist from the start.

    Parameters
    ----------
    auto : AutoGuide
        Made under ``module_local_params``.
    batch : tuple
        Arguments of its program: an autoguide has no parameters before its first call, so that
        an optimiser made earlier, or a loaded state, would miss them silently.
    """

    def __init__(self, auto: AutoGuide, batch: tuple):
        super().__init__()
        self.auto = auto
        with torch.no_grad():
            self(*batch)

    def forward(self, *batch):
        """Draw the weights."""
        return self.auto(*batch)


class VariationalGuide(TrainedGuide, NormalGuide):
    """Base of the guides that are a Pyro autoguide."""

    def approximation(self, program: WeightProgram, batch: tuple) -> Approximation:
        """See `TrainedGuide.approximation`."""
        start = init_to_value(values=program.fitted)
        with pyro.settings.context(module_local_params=True):
            approximation = Approximation(self._autoguide(program, start), batch)
            self._start(program, approximation.auto, batch)
        return approximation

    @abstractmethod
    def _autoguide(self, program: WeightProgram, start) -> AutoGuide:
        """Make Pyro's guide."""

    def _start(self, program: WeightProgram, auto: Any, batch: tuple) -> None:
        """Choose its first scales."""


class MAPGuide(VariationalGuide):
    """Point estimate: the mode of the posterior under the Normal prior (`AutoDelta`).

    What is learnt has no variance: the source ``"weights"`` is zero. Exact for the mean of a
    linear regression. It costs a phase of training; what it changes is the pull of the prior.
    """

    kind: ClassVar[str] = "map"

    def _autoguide(self, program, start) -> AutoGuide:
        return AutoDelta(program, init_loc_fn=start)

    def keep(self, program, approximation) -> None:
        """See `TrainedGuide.keep`."""
        self.learn(program.part, {n: _parameter(approximation.auto, n) for n in program.names})


class MeanFieldGuide(VariationalGuide):
    r"""Independent Normals (`AutoNormal`), by stochastic variational inference.

    Exact for the mean of a linear regression; there its variances are the inverse of the diagonal
    of the posterior precision, which is at most the diagonal of the inverse: *it underestimates
    the variance of correlated weights*, by 1 - rho^2 for two inputs of correlation rho. It starts
    from the diagonal Fisher information, so training only refines it. Cost: about that of the
    phase it repeats.
    """

    kind: ClassVar[str] = "mean-field"

    def _autoguide(self, program, start) -> AutoGuide:
        return AutoNormal(program, init_loc_fn=start)

    def _start(self, program, auto, batch) -> None:
        for name, scale in unflatten(_first_scale(program, batch), program.fitted).items():
            _set(auto.scales, name, scale)

    def keep(self, program, approximation) -> None:
        """See `TrainedGuide.keep`."""
        auto = approximation.auto
        loc = {name: _parameter(auto.locs, name) for name in program.names}
        scale = [_parameter(auto.scales, name).reshape(-1) for name in program.names]
        self.learn(program.part, loc, scale=torch.cat(scale))


class LowRankGuide(VariationalGuide):
    """Normal with covariance diagonal + low rank (`AutoLowRankMultivariateNormal`).

    Exact for a linear regression once the rank reaches the number of correlated directions;
    below, between mean-field and that. The gradient of the factor is noisy: it needs more epochs
    than the mean-field guide. Cost: about that of the phase it repeats; memory ``D * rank``.

    Parameters
    ----------
    over, prior_scale
        As in `WeightGuide`.
    rank : int
        Of the covariance's part that is not diagonal.
    """

    kind: ClassVar[str] = "low-rank"

    def __init__(
        self, over: tuple[str, ...] = ("head",), prior_scale: float | None = None, rank: int = 10
    ):
        super().__init__(over, prior_scale)
        if rank < 1:
            raise ValueError(f"`rank` must be at least 1; got {rank}.")
        self.rank = rank

    def _autoguide(self, program, start) -> AutoGuide:
        return AutoLowRankMultivariateNormal(program, init_loc_fn=start, rank=self.rank)

    def _start(self, program, auto, batch) -> None:
        # Pyro's factor is in units of the scale; its columns start small, so that the first
        # covariance is about the diagonal one.
        auto.scale = _first_scale(program, batch)
        with torch.no_grad():
            auto.cov_factor.mul_(0.1)

    def keep(self, program, approximation) -> None:
        """See `TrainedGuide.keep`."""
        auto = approximation.auto
        scale = auto.scale.detach()
        factor = auto.cov_factor.detach() * scale.unsqueeze(-1)
        loc = unflatten(auto.loc.detach(), program.fitted)
        self.learn(program.part, loc, scale=scale, factor=factor)


def _first_scale(program: WeightProgram, batch: tuple) -> Tensor:
    """Inverse root of the diagonal precision: the mean-field optimum, were the loss quadratic."""
    fisher = diagonal_fisher(program, [batch], passes=16, seed=0)
    scale = (fisher + prior_precision(program)).rsqrt()
    return scale.to(next(iter(program.fitted.values())))


def _parameter(module, name: str) -> Tensor:
    for piece in name.split("."):
        module = getattr(module, piece)
    return module.detach()


def _set(module, name: str, value: Tensor) -> None:
    *path, last = name.split(".")
    for piece in path:
        module = getattr(module, piece)
    setattr(module, last, value)
