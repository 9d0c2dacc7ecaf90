"""Expectations of a function of one Gaussian variable, by Gauss-Hermite quadrature."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def gauss_hermite(num_nodes: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes and weights for E[f(x)], x ~ Normal(0, 1); exact up to degree 2 num_nodes - 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(num_nodes)
    density = weights / math.sqrt(2 * math.pi)
    return torch.as_tensor(nodes).to(like), torch.as_tensor(density).to(like)


def gaussian_moments(
    f: Callable[[Tensor], Tensor], mean: Tensor, variance: Tensor, num_nodes: int = 64
) -> tuple[Tensor, Tensor]:
    """Mean and variance of f(x), x ~ Normal(mean, variance), entry by entry."""
    nodes, weights = gauss_hermite(num_nodes, mean)
    y = f(mean[..., None] + variance.sqrt()[..., None] * nodes)
    y_mean = (y * weights).sum(-1)
    return y_mean, ((y - y_mean[..., None]).square() * weights).sum(-1)
