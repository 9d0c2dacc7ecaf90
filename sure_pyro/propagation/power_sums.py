r"""Streaming moments of an output f, up to fourth order, and mixed ones with a control x beside it.

Kept are the sums of :math:`d^a x^b` over the draws with d = f - pivot, so memory does not grow
with the number of draws. The pivot is the mean of the first chunk: it lies within a few
standard errors of the true mean, so the later shift to central moments loses no digits even
when the output is far from zero. Sums are in double precision.

References
----------
Chan, Golub, LeVeque (1983). Algorithms for computing the sample variance. The American
Statistician 37(3), 242-247.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

F_ALONE = ((0, 0), (1, 0), (2, 0), (3, 0), (4, 0))
# Squared residuals of a regression of d^2 on (x, x^2), times their leverage, need all of these.
HIGHEST = (8, 6, 6, 4, 4)  # power of x beside d^0, ..., d^4
WITH_CONTROL = tuple((a, b) for a in range(5) for b in range(1, HIGHEST[a] + 1))


class PowerSums:
    """Sums of d^a x^b, each (B, C), by replicate: one, unless the draws come in several sets."""

    def __init__(self, replicates: int = 1) -> None:
        self.counts = [0] * replicates
        self.pivot = torch.zeros(())
        self._sums: list[dict[tuple[int, int], Tensor]] = [{} for _ in range(replicates)]

    @property
    def n(self) -> int:
        """Number of draws."""
        return sum(self.counts)

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

    def replicates(self) -> list[Callable[[int, int], Tensor]]:
        """Return the same average over the draws of each replicate."""

        def average(r: int) -> Callable[[int, int], Tensor]:
            return lambda a, b: self._sums[r][a, b] / self.counts[r]

        return [average(r) for r in range(len(self.counts))]


def _powers(value: Tensor, highest: int) -> list[Tensor]:
    powers = [torch.ones_like(value)]
    for _ in range(highest):
        powers.append(powers[-1] * value)
    return powers


def wide(value: Tensor) -> Tensor:
    """Double precision, where the device has it."""
    return value if value.device.type == "mps" else value.double()
