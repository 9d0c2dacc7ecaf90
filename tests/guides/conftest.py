"""Bayesian linear regression with known noise: the posterior is known in closed form."""

from dataclasses import dataclass

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from sure_pyro.guides import WeightProgram

NOISE = 0.5
PRIOR = 1.0


@dataclass
class Conjugate:
    net: torch.nn.Linear
    x: Tensor
    y: Tensor
    precision: Tensor  # of the posterior
    mean: Tensor

    @property
    def covariance(self):
        return self.precision.inverse()

    def program(self, **options):
        options = {"prior_scale": PRIOR, **options}
        return WeightProgram(self.net, likelihood, len(self.x), **options)


def likelihood(net, x, y):
    with pyro.plate("rows", len(x)):
        pyro.sample("y", dist.Normal(net(x).squeeze(-1), NOISE), obs=y)


def make_conjugate(N=60, D=3, at_mode=True) -> Conjugate:
    """Two inputs of correlation 0.8 and one of their own; the net stands at the posterior mean."""
    g = torch.Generator().manual_seed(5)
    x = torch.randn(N, D, generator=g)
    x[:, 1] = 0.8 * x[:, 0] + 0.6 * x[:, 1]
    y = x @ torch.tensor([1.0, -0.5, 0.3]) + NOISE * torch.randn(N, generator=g)
    precision = x.T @ x / NOISE**2 + torch.eye(D) / PRIOR**2
    mean = torch.linalg.solve(precision, x.T @ y / NOISE**2)
    net = torch.nn.Linear(D, 1, bias=False)
    if at_mode:
        net.weight.data = mean.unsqueeze(0).clone()
    return Conjugate(net, x, y, precision, mean)


@pytest.fixture
def conjugate(double):
    return make_conjugate()
