"""Guides that are trained by an ELBO: what they share, whatever form their posterior has."""

from abc import abstractmethod

import torch
from torch import nn

from sure_pyro.guides.base import WeightGuide
from sure_pyro.guides.program import WeightProgram


class TrainedGuide(WeightGuide):
    """Base of the guides that a `WeightProgram` and an ELBO train.

    For each part: `approximation` makes the Pyro guide, whoever trains it lowers
    ``elbo.differentiable_loss(program, approximation, *batch)``, and `keep` takes over the result.
    """

    def needs_training(self, program: WeightProgram) -> bool:
        """Whether the fitted weights are not yet what the guide wants of them."""
        return True

    @abstractmethod
    def approximation(self, program: WeightProgram, batch: tuple) -> nn.Module:
        """Make the Pyro guide of a program, at the fitted weights, with all its parameters.

        Parameters
        ----------
        program : WeightProgram
        batch : tuple
            Some arguments of it.
        """

    @abstractmethod
    def keep(self, program: WeightProgram, approximation: nn.Module) -> None:
        """Take over what was trained as the posterior of the program's part."""


def fit_weights(
    guide: TrainedGuide,
    program: WeightProgram,
    data: tuple[torch.Tensor, ...],
    elbo,
    *,
    steps: int = 500,
    batch_size: int | None = None,
    lr: float = 0.02,
    seed: int = 0,
) -> TrainedGuide:
    """Train a guide on a program of your own: Adam, with a learning rate that falls to zero.

    A `SURE` trains its guides by its own loop (``sp.fit(..., guide=...)``); this is for any other
    module.

    Parameters
    ----------
    guide : TrainedGuide
    program : WeightProgram
    data : tuple of Tensor
        Arguments of the program, of N rows each.
    elbo : Trace_ELBO or CorrelationELBO
    steps, batch_size, lr : int, int, float
        By default every batch is the full data.
    seed : int
        The global generator is left as it was.

    Returns
    -------
    TrainedGuide
        The guide that came.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        approximation = guide.approximation(program, data)
        optimizer = torch.optim.Adam(approximation.parameters(), lr=lr)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 1 / steps, steps)
        for _ in range(steps if guide.needs_training(program) else 0):
            rows = torch.randperm(len(data[0]))[:batch_size]
            loss = elbo.differentiable_loss(program, approximation, *(x[rows] for x in data))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    guide.keep(program, approximation)
    return guide
