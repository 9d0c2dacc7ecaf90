"""One run of the draws: which sources vary in which rows, and the moments of what came out.

The joint run varies every source in every row. Beside it, each source runs alone, the others
at their means, in the rows where another one is uncertain too (elsewhere alone is joint), on
the same noise: the interaction is then a difference of paired numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.propagation.estimates import Estimate, estimate
from sure_pyro.propagation.inputs import Inputs
from sure_pyro.propagation.power_sums import PowerSums, wide


@dataclass(eq=False)
class Run:
    """Moments of the output while `sources` vary in `rows` of the inputs."""

    inputs: Inputs
    rows: Tensor
    sources: tuple[str, ...]
    output_covariance: bool = False
    sums: PowerSums = field(default_factory=PowerSums)
    noise: PowerSums = field(default_factory=PowerSums)  # the function's own noise variance
    products: Tensor | float = 0.0

    def __post_init__(self) -> None:
        self.latents = {name: z[self.rows] for name, z in self.inputs.latents.items()}

    def update(self, deviations: dict[str, Float[Tensor, "S B _"]], replicate: int = 0) -> None:
        """Add a chunk of draws, given as deviations from the mean."""
        y, noise = self._evaluate({name: deviations[name][:, self.rows] for name in self.sources})
        self.sums.update(y, replicate=replicate)
        if noise is not None:
            self.noise.update(noise, replicate=replicate)
        if self.output_covariance:
            d = wide(y) - self.sums.pivot
            self.products = self.products + torch.einsum("sbc,sbe->bce", d, d)

    def _evaluate(self, deviations: dict[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """Fold the S draws into the rows, call the function, and unfold: (S, B, C)."""
        S = next(iter(deviations.values())).shape[0]
        folded = {
            name: (
                z + deviations[name].reshape(S, *z.shape)
                if name in deviations
                else z.expand(S, *z.shape)
            ).flatten(0, 1)
            for name, z in self.latents.items()
        }
        y, noise = self.inputs.evaluate(folded)
        y = y.unflatten(0, (S, -1))
        return y, None if noise is None else noise.unflatten(0, (S, -1))

    def estimate(self) -> Estimate:
        """Mean and variance of the output, with standard errors."""
        return estimate(self.sums)

    def covariance(self) -> Float[Tensor, "B C C"]:
        """Covariance of the outputs."""
        n, delta = self.sums.n, self.sums.average(1, 0)
        return (self.products / n - delta[:, :, None] * delta[:, None, :]) * n / (n - 1)


def plan_runs(inputs: Inputs, by_source: bool, output_covariance: bool) -> list[Run]:
    """Plan the joint run first, then one for each source that has company in some row."""
    active = inputs.active()
    everything = torch.arange(len(inputs), device=inputs.device)
    runs = [Run(inputs, everything, tuple(active), output_covariance)]
    if by_source and len(active) > 1:
        crowded = inputs.num_uncertain() > 1
        alone = [((active[name] & crowded).nonzero()[:, 0], name) for name in active]
        runs += [Run(inputs, rows, (name,), output_covariance) for rows, name in alone if len(rows)]
    return runs
