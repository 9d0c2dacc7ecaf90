"""Heads: the task's distribution on top of the fused representation, equation 4.

Every head gives C outputs on an unbounded scale (values, or logits), each with a mean and a
variance of its own, and says which distribution of the target they stand for. Because the head's
variance lives on the same scale as what the propagation brings from the reconstructions, the two
add up (equation 8) before they become a distribution.
"""

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution

from sure_pyro.data.standardize import masked_moments
from sure_pyro.precision import at_least_single

VARIANCE_FLOOR = 1e-4
"""Smallest variance of a head, on the scale of standardised targets or logits."""


class Output(NamedTuple):
    """Mean and variance of the head's outputs, each ``(*batch, C)``."""

    mean: Float[Tensor, "*batch C"]
    variance: Float[Tensor, "*batch C"]


class Head(nn.Module, ABC):
    """A linear layer for the mean and one for the variance of each output.

    Parameters
    ----------
    width : int
        H, the width of the representation.
    num_outputs : int
        C.
    """

    task: str

    def __init__(self, width: int, num_outputs: int):
        super().__init__()
        self.mean = nn.Linear(width, num_outputs)
        self.raw_variance = nn.Linear(width, num_outputs)
        nn.init.zeros_(self.raw_variance.weight)
        nn.init.constant_(self.raw_variance.bias, -2.0)

    def forward(self, h: Float[Tensor, "*batch H"]) -> Output:
        """Mean and own variance s2_head of each output, equation 4."""
        mean, raw = at_least_single(self.mean(h)), at_least_single(self.raw_variance(h))
        return Output(mean, VARIANCE_FLOOR + F.softplus(raw))

    @torch.no_grad()
    def start_from(self, readout: nn.Linear | None, target: Tensor) -> None:
        """Begin where the pretrained model stands: take over its readout where the sizes agree.

        Parameters
        ----------
        readout : nn.Linear or None
            The pretrained model's own last layer.
        target : Tensor
            Of the training rows, for heads that standardise it.
        """
        if readout is not None and readout.weight.shape == self.mean.weight.shape:
            self.mean.load_state_dict(readout.state_dict())

    def observed(self, target: Tensor) -> Tensor:
        """Target in the form and on the scale in which `distribution` scores it."""
        return target

    def in_units(self, output: Output) -> Output:
        """Output in the units of the target (for logits: as it is)."""
        return output

    @abstractmethod
    def distribution(self, output: Output) -> Distribution:
        """Distribution of the target, ``batch_shape = (*batch,)``, given total mean and variance.

        Parameters
        ----------
        output : Output
            With whatever variances have been added (equation 8).
        """

    def probabilities(self, output: Output) -> Tensor | None:
        """Class probabilities ``(*batch, K)`` where they apply, otherwise None."""
        return None


class GaussianHead(Head):
    """Regression: y_c ~ Normal(mean_c, variance_c), with targets standardised by training rows."""

    task = "regression"
    target_mean: Tensor
    target_scale: Tensor

    def __init__(self, width: int, num_outputs: int):
        super().__init__(width, num_outputs)
        self.register_buffer("target_mean", torch.zeros(num_outputs))
        self.register_buffer("target_scale", torch.ones(num_outputs))

    @torch.no_grad()
    def start_from(self, readout, target) -> None:
        """See `Head.start_from`. A readout in the units of the target is rescaled."""
        y = target.reshape(len(target), -1)
        mean, scale = masked_moments(y, torch.ones_like(y).bool())
        self.target_mean.copy_(mean)
        self.target_scale.copy_(scale)
        if readout is not None and readout.weight.shape == self.mean.weight.shape:
            self.mean.weight.copy_(readout.weight / self.target_scale.unsqueeze(-1))
            self.mean.bias.copy_((readout.bias - self.target_mean) / self.target_scale)

    def observed(self, target) -> Tensor:
        """See `Head.observed`: standardised."""
        return (target.reshape(len(target), -1) - self.target_mean) / self.target_scale

    def in_units(self, output) -> Output:
        """See `Head.in_units`: the target's units, and their square."""
        mean = self.target_mean + self.target_scale * output.mean
        return Output(mean, self.target_scale.square() * output.variance)

    def distribution(self, output) -> Distribution:
        """See `Head.distribution`; event shape (C,)."""
        return dist.Normal(output.mean, output.variance.sqrt(), validate_args=False).to_event(1)


class CategoricalHead(Head):
    """Classes 0..C-1: y ~ Categorical(softmax(moderated logits))."""

    task = "classification"

    def distribution(self, output) -> Distribution:
        """See `Head.distribution`; event shape ()."""
        return dist.Categorical(logits=moderated(output), validate_args=False)

    def probabilities(self, output) -> Tensor:
        """See `Head.probabilities`."""
        return moderated(output).softmax(-1)


class BernoulliHead(Head):
    """Several labels, or one of two classes: y_c ~ Bernoulli(sigmoid(moderated logit_c))."""

    task = "multilabel"

    def observed(self, target) -> Tensor:
        """See `Head.observed`: one column per label."""
        return target.reshape(len(target), -1).to(self.mean.weight.dtype)

    def distribution(self, output) -> Distribution:
        """See `Head.distribution`; event shape (C,)."""
        return dist.Bernoulli(logits=moderated(output), validate_args=False).to_event(1)

    def probabilities(self, output) -> Tensor:
        """See `Head.probabilities`: of each label being 1."""
        return moderated(output).sigmoid()


def moderated(output: Output) -> Float[Tensor, "*batch C"]:
    r"""Logits shrunk by their variance, so that an unsure logit says less.

    .. math:: \kappa(s^2)\, m, \qquad \kappa(s^2) = (1 + \pi s^2 / 8)^{-1/2}

    which makes the sigmoid of a Gaussian logit the mean of the sigmoids, nearly [MacKay1992]_. For
    a softmax it is the usual mean-field approximation.

    References
    ----------
    .. [MacKay1992] The evidence framework applied to classification networks. Neural Computation
       4(5), 720-736.
    """
    return output.mean / (1 + math.pi / 8 * output.variance).sqrt()


HEADS: dict[str, type[Head]] = {
    "gaussian": GaussianHead,
    "categorical": CategoricalHead,
    "bernoulli": BernoulliHead,
    "multilabel": BernoulliHead,
}
