"""Where the unit noise of every draw comes from: independent, or scrambled Sobol points."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from sure_pyro.propagation.inputs import Inputs
from sure_pyro.propagation.noise import Noise


class Draws(ABC):
    """Unit noise (S, B, R_i) for every source i, in one or more replicates."""

    replicates: int = 1

    def __init__(self, inputs: Inputs, noise: Mapping[str, Noise], generator: torch.Generator):
        self.noise = {name: noise[name] for name in inputs.covariances}
        self.shape = {name: (len(inputs), c.columns) for name, c in inputs.covariances.items()}
        self.like = torch.empty(0, dtype=inputs.dtype, device=inputs.device)
        self.generator = generator

    @abstractmethod
    def draw(self, num: int, replicate: int) -> dict[str, Tensor]:
        """Return the next `num` draws of a replicate."""


class Plain(Draws):
    """Independent draws."""

    def draw(self, num: int, replicate: int) -> dict[str, Tensor]:
        """Return the next `num` draws."""
        return {
            name: noise.draw((num, *self.shape[name]), self.like, self.generator)
            for name, noise in self.noise.items()
        }
