"""Layers of several networks of one form, side by side: one product instead of one for each."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn


class ParallelLinear(nn.Module):
    """K linear layers of equal sizes as one batched product; each starts as `nn.Linear` does.

    Parameters
    ----------
    number : int
        K.
    fan_in, fan_out : int
    """

    def __init__(self, number: int, fan_in: int, fan_out: int):
        super().__init__()
        bound = 1 / math.sqrt(fan_in)
        self.weight = nn.Parameter(torch.empty(number, fan_in, fan_out).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(number, 1, fan_out).uniform_(-bound, bound))

    def forward(self, x: Float[Tensor, "K n fan_in"]) -> Float[Tensor, "K n fan_out"]:
        """Apply each to its own rows."""
        return torch.baddbmm(self.bias, x, self.weight)


class ParallelLayers(nn.Module):
    """K fully connected networks of equal sizes, with GELU and dropout in front of each layer."""

    def __init__(self, number: int, width: int, layers: int, dropout: float):
        super().__init__()
        self.layers = nn.ModuleList(ParallelLinear(number, width, width) for _ in range(layers))
        self.dropout = dropout

    def forward(self, x: Float[Tensor, "K n W"]) -> Float[Tensor, "K n W"]:
        """Apply each to its own rows; the result is behind a GELU, too."""
        x = self._activated(x)
        for layer in self.layers:
            x = self._activated(layer(x))
        return x

    def _activated(self, x: Tensor) -> Tensor:
        return F.dropout(F.gelu(x), self.dropout, self.training)
