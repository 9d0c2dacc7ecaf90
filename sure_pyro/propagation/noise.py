"""The shape of the latent noise: independent variables of mean zero and variance one.

A latent is drawn as ``mean + L noise``, so `variance` is its *variance* whatever the shape: a
Student-t of variance sigma^2 has the scale ``sigma * sqrt((df - 2) / df)``, a Laplace
``sigma / sqrt(2)``. First-order Taylor sees the variance only and is the same for all of them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor


class Noise(ABC):
    """A distribution of unit variance, as a function of uniform variables."""

    uniforms: ClassVar[int] = 1  # how many uniform variables make one entry

    @abstractmethod
    def from_uniform(self, u: Tensor) -> Tensor:
        """Map `u` (*shape, uniforms), inside (0, 1), to noise of the same shape less an axis."""

    def draw(self, shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
        """Independent noise with the dtype and device of `like`."""
        size = (*shape, self.uniforms)
        u = torch.rand(size, dtype=like.dtype, device=like.device, generator=generator)
        tiny = torch.finfo(like.dtype).eps
        return self.from_uniform(u.clamp(tiny, 1 - tiny))  # zero would be an infinite draw


@dataclass(frozen=True)
class NormalNoise(Noise):
    """Gaussian noise, the default."""

    def from_uniform(self, u: Tensor) -> Tensor:
        """Inverse of the normal distribution function."""
        return torch.special.ndtri(u[..., 0])

    def draw(self, shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
        """Independent noise with the dtype and device of `like`."""
        return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


NORMAL = NormalNoise()


@dataclass(frozen=True)
class LaplaceNoise(Noise):
    """Double-exponential noise of scale 1/sqrt(2): kurtosis 6."""

    def from_uniform(self, u: Tensor) -> Tensor:
        """Inverse of the distribution function."""
        v = u[..., 0] - 0.5
        return -v.sign() * torch.log1p(-2 * v.abs()) / math.sqrt(2)


@dataclass(frozen=True)
class StudentTNoise(Noise):
    """Student-t noise with `df` > 2 degrees of freedom, scaled to variance one.

    Its kurtosis is infinite for df <= 4: standard errors of variances then are no guide.
    """

    df: float | int
    uniforms: ClassVar[int] = 2

    def __post_init__(self) -> None:
        if not self.df > 2:
            raise ValueError(f"`df` must exceed 2, or there is no variance; got {self.df}.")

    def from_uniform(self, u: Tensor) -> Tensor:
        """Polar method: Bailey (1994), Mathematics of Computation 62(206), 779-781."""
        radius = (self.df * torch.expm1(-2 / self.df * u[..., 0].log())).sqrt()
        t = radius * torch.cos(2 * math.pi * u[..., 1])
        return t * math.sqrt((self.df - 2) / self.df)


def make_generator(seed: int | torch.Generator, device: torch.device) -> torch.Generator:
    """Make a generator of our own from an integer; a generator is used as it is."""
    if isinstance(seed, torch.Generator):
        return seed
    return torch.Generator(device).manual_seed(seed)
