"""One run of the draws: which sources vary in which rows, and the moments of what came out.

The joint run varies every source in every row. Beside it there is a run for each single source,
the others at their means, in the rows where another one is uncertain too (elsewhere it is the
joint run), on the same noise: the interaction is then a difference of paired numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.equations import total_variance
from sure_pyro.propagation.estimates import Estimate, estimate
from sure_pyro.propagation.inputs import Expect, Inputs, Known, Output, each_tensor
from sure_pyro.propagation.moments import WEIGHTS
from sure_pyro.propagation.power_sums import PowerSums, wide


class Run:
    """Moments of the output while `sources` vary in `rows` of the inputs.

    The Jacobian (B, C, D_i) by source, if given, makes the control: the linearised output, in
    its own standard deviations, so that no power of it runs out of range.
    """

    def __init__(
        self,
        inputs: Inputs,
        rows: Tensor,
        sources: tuple[str, ...],
        output_covariance: bool = False,
        jacobian: Mapping[str, Tensor] | None = None,
        replicates: int = 1,
        expect: Expect | None = None,
    ) -> None:
        self.inputs, self.rows, self.sources = inputs, rows, sources
        self.output_covariance = output_covariance
        self.everything = rows is inputs.everything  # nothing to copy
        self.latents = {name: self._of(z) for name, z in inputs.latents.items()}
        self.known = each_tensor(inputs.known, self._of)
        J = {name: self._of(J) for name, J in (jacobian or {}).items() if name in sources}
        self.J, control_variance = self._standardised(J)
        self.sums = PowerSums(replicates, control_variance)
        self.noise = PowerSums()  # of the function's own noise variance
        self.products: Tensor | float = 0.0
        self.expect = expect
        self.expectations: Tensor | float = 0.0

    def update(self, draws: DrawnChunk, replicate: int = 0) -> None:
        """Add a chunk of draws."""
        deviations = {
            name: dev if self.everything else dev[:, self.rows]
            for name, dev in draws.deviations.items()
            if name in self.sources
        }
        seeds = draws.seeds if WEIGHTS in self.sources else None
        y, noise = evaluate_draws(self.inputs, self.latents, deviations, seeds, self.known)
        self.sums.update(y, self._linear(deviations), replicate)
        if noise is not None:
            self.noise.update(noise)
        if self.expect is not None:
            self.expectations = self.expectations + wide(self.expect(y, noise)).sum(0)
        if self.output_covariance:
            d = wide(y) - self.sums.pivot
            self.products = self.products + torch.einsum("sbc,sbe->bce", d, d)

    def estimate(self) -> Estimate:
        """Mean and variance of the output, with standard errors."""
        return estimate(self.sums.f, self.noise.f if self.noise.n else None)

    @property
    def expected(self) -> Tensor | None:
        """Mean over the draws of what was asked for beside the output."""
        return None if self.expect is None else torch.as_tensor(self.expectations) / self.sums.n

    def covariance(self) -> Float[Tensor, "B C C"]:
        """Covariance of the outputs: correlations of the draws, with the variances estimated."""
        delta = self.sums.average(1, 0)
        S = self.products / self.sums.n - delta[:, :, None] * delta[:, None, :]
        spread = S.diagonal(dim1=-2, dim2=-1)
        positive = torch.where(spread > 0, spread, torch.ones_like(spread))
        scale = (self.estimate().variance / positive).sqrt()
        return scale[:, :, None] * S * scale[:, None, :]

    def _of(self, values: Tensor) -> Tensor:
        return values if self.everything else values[self.rows]

    def _standardised(self, J: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor | None]:
        """Jacobian that makes a control of variance one, or zero where nothing is linear."""
        if not J:
            return J, None
        V = total_variance(
            self.inputs.covariances[name].rows(self.rows).quadratic(J_i.transpose(0, 1)).mT
            for name, J_i in J.items()
        )
        sd = torch.where(V > 0, V, torch.ones_like(V)).sqrt()
        return {name: J_i / sd[..., None] for name, J_i in J.items()}, wide(V > 0)

    def _linear(self, deviations: dict[str, Tensor]) -> Tensor | None:
        """Linearised output of every draw, less its mean: sum_i J_i deviation_i, (S, B, C)."""
        parts = [torch.einsum("bcd,sbd->sbc", J, deviations[name]) for name, J in self.J.items()]
        return torch.stack(parts).sum(0) if parts else None


@dataclass(frozen=True, eq=False)
class DrawnChunk:
    """S draws: deviations of every latent from its mean (S, B, D), and seeds of the weights.

    Seeds rather than weights: a set of parameters may be large, and is made again when needed.
    """

    deviations: dict[str, Tensor]
    seeds: list[int] | None = None


def evaluate_draws(
    inputs: Inputs,
    latents: dict[str, Tensor],
    deviations: dict[str, Tensor],
    seeds: list[int] | None = None,
    known: Known = None,
) -> Output:
    """Output and noise (S, B, C) of every draw.

    Draws of the latents are folded into the rows, so the function is called once. A set of
    parameters is shared by all rows, so it needs a call of its own.
    """
    if seeds is None or inputs.weights is None:
        S = next(iter(deviations.values())).shape[0]
        y, noise = inputs.evaluate(
            {name: _drawn(z, deviations.get(name), S).flatten(0, 1) for name, z in latents.items()},
            known=each_tensor(known, lambda x: _drawn(x, None, S).flatten(0, 1)),
        )
        return y.unflatten(0, (S, -1)), None if noise is None else noise.unflatten(0, (S, -1))
    drawn = {name: _drawn(z, deviations.get(name), len(seeds)) for name, z in latents.items()}
    outputs = [
        inputs.evaluate({name: z[s] for name, z in drawn.items()}, inputs.weights(seed), known)
        for s, seed in enumerate(seeds)
    ]
    means = torch.stack([y for y, _ in outputs])
    noises = [noise for _, noise in outputs if noise is not None]
    return means, torch.stack(noises) if noises else None


def _drawn(z: Tensor, deviation: Tensor | None, S: int) -> Tensor:
    """Latent (S, B, *event) of every draw."""
    return z.expand(S, *z.shape) if deviation is None else z + deviation.reshape(S, *z.shape)


def plan_runs(
    inputs: Inputs,
    by_source: bool,
    output_covariance: bool,
    jacobian: Mapping[str, Tensor] | None = None,
    replicates: int = 1,
    expect: Expect | None = None,
) -> list[Run]:
    """Plan the joint run, then one for each source beside which another one is uncertain."""
    joint = Run(
        inputs,
        inputs.everything,
        tuple(inputs.active),
        output_covariance,
        jacobian,
        replicates,
        expect,
    )
    plan: list[tuple[Tensor, tuple[str, ...]]] = []
    if by_source:
        several = inputs.num_uncertain() > 1
        rows_of = {name: (rows & several).nonzero()[:, 0] for name, rows in inputs.active.items()}
        plan = [(rows, (name,)) for name, rows in rows_of.items() if len(rows)]
    single = [
        Run(inputs, rows, names, output_covariance, jacobian, replicates) for rows, names in plan
    ]
    return [joint, *single]
