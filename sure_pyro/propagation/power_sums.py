r"""Streaming sums over draws, and the arithmetic of variables that are known by them.

Of every draw there is an output f and, if there is one, a control x of known mean and variance.
Kept are the sums of :math:`d^a x^b` with d = f - pivot, so memory does not grow with the number
of draws. The pivot is the mean of the first chunk: it lies within a few standard errors of the
true mean, so squares around the mean lose no digits even where the output is far from zero
[Chan1983]_. Sums are in double precision.

What an estimate averages, such as (f - mean)^2, is a polynomial in d and x: a `Variable`, whose
arithmetic lets the formulae elsewhere read as on paper.

References
----------
.. [Chan1983] Algorithms for computing the sample variance. The American Statistician 37(3),
   242-247.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

Powers: TypeAlias = tuple[int, int]  # (a, b) of d^a x^b
Average: TypeAlias = Callable[[int, int], Tensor]  # (a, b) -> E[d^a x^b]

F_ALONE = ((0, 0), (1, 0), (2, 0), (3, 0), (4, 0))
# Squared residuals of a regression of d^2 on (x, x^2), times their leverage, need all of these.
HIGHEST = (8, 6, 6, 4, 4)  # power of x beside d^0, ..., d^4
WITH_CONTROL = tuple((a, b) for a in range(5) for b in range(1, HIGHEST[a] + 1))


class PowerSums:
    """Sums of d^a x^b, each (B, C), by replicate: one, unless the draws come in several sets.

    Parameters
    ----------
    replicates : int
    control_variance : Tensor, shape (B, C), optional
        Exact variance of the control, whose mean is zero; None if there is no control.
    """

    def __init__(self, replicates: int = 1, control_variance: Tensor | None = None) -> None:
        self.counts = [0] * replicates
        self.control_variance = control_variance
        self.pivot = torch.zeros(())
        self._sums: list[dict[Powers, Tensor]] = [{} for _ in range(replicates)]

    @property
    def n(self) -> int:
        """Number of draws."""
        return sum(self.counts)

    @property
    def f(self) -> Variable:
        """The output."""
        return Variable({(1, 0): 1.0, (0, 0): self.pivot}, self)

    @property
    def x(self) -> Variable:
        """The control."""
        return Variable({(0, 1): 1.0}, self)

    def update(
        self, f: Float[Tensor, "S B C"], x: Float[Tensor, "S B C"] | None = None, replicate: int = 0
    ) -> None:
        """Add a chunk of S draws, with their control if there is one."""
        f = wide(f)
        if not self.n:
            self.pivot = f.detach().mean(0)
        d = _powers(f - self.pivot, len(HIGHEST) - 1)
        x_powers = d[:1] if x is None else _powers(wide(x), max(HIGHEST))
        sums = self._sums[replicate]
        for a, b in F_ALONE if x is None else F_ALONE + WITH_CONTROL:
            sums[a, b] = sums.get((a, b), 0) + (d[a] * x_powers[b]).sum(0)
        self.counts[replicate] += len(f)

    def average(self, a: int, b: int) -> Tensor:
        """E[d^a x^b] (B, C) over all draws."""
        return torch.stack([sums[a, b] for sums in self._sums]).sum(0) / self.n

    def replicates(self) -> list[Average]:
        """Return the same average over the draws of each replicate."""

        def average(r: int) -> Average:
            return lambda a, b: self._sums[r][a, b] / self.counts[r]

        return [average(r) for r in range(len(self.counts))]


@dataclass(frozen=True, eq=False)
class Variable:
    """A number of every draw, sum of ``terms[a, b] d^a x^b``, known by the sums over the draws."""

    terms: Mapping[Powers, float | Tensor]
    sums: PowerSums

    def __add__(self, other: Variable | float | Tensor) -> Variable:
        added = _terms(other)
        keys = {**self.terms, **added}
        terms = {key: self.terms.get(key, 0.0) + added.get(key, 0.0) for key in keys}
        return Variable(terms, self.sums)

    def __sub__(self, other: Variable | float | Tensor) -> Variable:
        return self + other * -1.0

    def __mul__(self, other: Variable | float | Tensor) -> Variable:
        product: dict[Powers, float | Tensor] = {}
        for (a, b), u in self.terms.items():
            for (c, e), v in _terms(other).items():
                product[a + c, b + e] = product.get((a + c, b + e), 0.0) + u * v
        return Variable(product, self.sums)

    def __pow__(self, exponent: int) -> Variable:
        power = self
        for _ in range(exponent - 1):
            power = power * self
        return power

    def average(self) -> Tensor:
        """Average (B, C) over all draws."""
        return self._averaged(self.sums.average)

    def averages(self) -> list[Tensor]:
        """Return the average over the draws of each replicate."""
        return [self._averaged(E) for E in self.sums.replicates()]

    def _averaged(self, E: Average) -> Tensor:
        return torch.stack([u * E(a, b) for (a, b), u in self.terms.items()]).sum(0)


def _terms(value: Variable | float | Tensor) -> Mapping[Powers, float | Tensor]:
    return value.terms if isinstance(value, Variable) else {(0, 0): value}


def _powers(value: Tensor, highest: int) -> list[Tensor]:
    powers = [torch.ones_like(value)]
    for _ in range(highest):
        powers.append(powers[-1] * value)
    return powers


def wide(value: Tensor) -> Tensor:
    """Double precision, where the device has it."""
    return value if value.device.type == "mps" else value.double()
