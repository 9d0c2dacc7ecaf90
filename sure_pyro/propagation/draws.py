"""Where the unit noise of every draw comes from: independent, or scrambled Sobol points."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from sure_pyro.propagation.inputs import Inputs
from sure_pyro.propagation.noise import NORMAL, Noise


class Draws(ABC):
    """Unit noise (S, B, R_i) for every source i, in one or more independent replicates."""

    replicates: int = 1

    def __init__(self, inputs: Inputs, noise: Mapping[str, Noise], generator: torch.Generator):
        self.noise = {name: noise[name] for name in inputs.covariances}
        self.columns = {name: c.columns for name, c in inputs.covariances.items()}
        self.rows = len(inputs)
        self.like = torch.empty(0, dtype=inputs.dtype, device=inputs.device)
        self.generator = generator

    @abstractmethod
    def draw(self, num: int, replicate: int) -> dict[str, Tensor]:
        """Return the next `num` draws of a replicate."""

    def seeds(self, num: int) -> list[int]:
        """Return seeds for `num` draws of the weights."""
        device = self.generator.device
        return torch.randint(2**62, (num,), generator=self.generator, device=device).tolist()


class Plain(Draws):
    """Independent draws."""

    def draw(self, num: int, replicate: int) -> dict[str, Tensor]:
        """Return the next `num` draws."""
        return {
            name: noise.draw((num, self.rows, self.columns[name]), self.like, self.generator)
            for name, noise in self.noise.items()
        }


class Sobol(Draws):
    """Scrambled Sobol points [Owen1998]_, the same for all rows but for a digital shift of each.

    The shift (exclusive or with random bits) keeps the points as even as they were and makes
    the rows independent. Points of one set are not independent of each other, so their spread
    says nothing about the error: there are 8 sets scrambled independently, and the error is
    read off how these differ. Sizes of 8 times a power of two are the most even.

    References
    ----------
    .. [Owen1998] Scrambling Sobol' and Niederreiter-Xing points. J. Complexity 14(4), 466-489.
    """

    replicates = 8
    _bits = SobolEngine.MAXBIT

    def __init__(self, inputs: Inputs, noise: Mapping[str, Noise], generator: torch.Generator):
        super().__init__(inputs, noise, generator)
        sizes = {name: self.columns[name] * self.noise[name].uniforms for name in self.columns}
        dimension = sum(sizes.values())
        if dimension > SobolEngine.MAXDIM:
            raise ValueError(
                f"Sobol points have at most {SobolEngine.MAXDIM} dimensions; these latents need "
                f'{dimension}. Use draws="plain".'
            )
        self.sizes = list(sizes.values())
        device = generator.device
        seeds = torch.randint(2**31, (self.replicates,), generator=generator, device=device)
        self.engines = [SobolEngine(dimension, scramble=True, seed=s) for s in seeds.tolist()]
        shape = (self.rows, dimension)
        self.shift = torch.randint(2**self._bits, shape, generator=generator, device=device)

    def draw(self, num: int, replicate: int) -> dict[str, Tensor]:
        """Return the next `num` points of a replicate, mapped to noise."""
        points = self.engines[replicate].draw(num, dtype=torch.float64) * 2**self._bits
        # The engine rounds its first point to single precision, which can make it 1.
        whole = points.long().clamp_max(2**self._bits - 1).to(self.shift.device)
        bits = whole[:, None] ^ self.shift  # (S, B, dimension)
        # Single precision, the default for integers, would round the last of them to u = 1.
        u = ((bits.double() + 0.5) / 2**self._bits).split(self.sizes, -1)
        return {
            name: noise.from_uniform(u_i.unflatten(-1, (-1, noise.uniforms))).to(self.like)
            for (name, noise), u_i in zip(self.noise.items(), u, strict=True)
        }


def make_draws(
    kind: str,
    inputs: Inputs,
    noise: Noise | Mapping[str, Noise],
    generator: torch.Generator,
) -> Draws:
    """Make the draws that `sampling` was asked for.

    Raises
    ------
    ValueError
        If the kind is unknown, or noise is given for a source that is not there.
    """
    kinds = {"plain": Plain, "sobol": Sobol}
    if kind not in kinds:
        raise ValueError(f"`draws` must be one of {list(kinds)}; got {kind!r}.")
    by_name = dict(noise) if isinstance(noise, Mapping) else {}
    unknown = [name for name in by_name if name not in inputs.latents]
    if unknown:
        raise ValueError(f"`noise` names {unknown}, but `mean` has only {list(inputs.latents)}.")
    default = NORMAL if isinstance(noise, Mapping) else noise
    each = {name: by_name.get(name, default) for name in inputs.covariances}
    return (kinds[kind] if each else Plain)(inputs, each, generator)
