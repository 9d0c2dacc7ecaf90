r"""What the curvature adds to Taylor: a shift of the mean, and a second term of the variance.

With H the Hessian of one output at the mean and Gaussian z of covariance Sigma, the quadratic
function with this gradient and Hessian has exactly

.. math:: E[y] = y(\mu) + \tfrac12 \operatorname{tr}(H \Sigma), \qquad
          \operatorname{Var}[y] = J \Sigma J^T + \tfrac12 \operatorname{tr}(H \Sigma H \Sigma)

(equation 9 is the first, for a diagonal Sigma). With Sigma = L L^T per source and v the
columns of L, :math:`\operatorname{tr}(H_{ii} \Sigma_i) = \sum_v v^T H_{ii} v` and

.. math:: \operatorname{tr}(H_{ji} \Sigma_i H_{ij} \Sigma_j)
          = \sum_v (H_{ji} v)^T \Sigma_j (H_{ji} v)

so Hessian-vector products are all it takes: terms with i = j belong to source i, the others
are the ``"interaction"``. Cost: a backward pass through the backward pass for every output and
column, C * D of them, for only the diagonal blocks of a Hessian are summed, never held. With
`probes`, v = L e for random signs e instead: an unbiased estimate from C * probes of them
[Hutchinson1990]_.

References
----------
.. [Hutchinson1990] A stochastic estimator of the trace of the influence matrix. Communications
   in Statistics 19(2), 433-450.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from sure_pyro.propagation.inputs import Inputs
from sure_pyro.propagation.linearise import leaf
from sure_pyro.propagation.moments import INTERACTION, Moments


def add_curvature(
    first: Moments,
    inputs: Inputs,
    probes: int | None,
    generator: torch.Generator,
    create_graph: bool,
) -> Moments:
    """Second-order moments from first-order ones of the same rows, all uncertain."""
    leaves = {name: leaf(inputs.latents[name], create_graph) for name in inputs.covariances}
    y, _ = inputs.evaluate({**inputs.latents, **leaves})
    shifts, extras = [], []
    for c in range(y.shape[1]):
        J = _gradient(y[:, c].sum(), leaves, create_graph=True)
        curvature = Curvature(inputs, leaves, J, create_graph)
        for name in leaves:
            for v, weight in _columns(inputs, name, probes, generator):
                curvature.add(name, v, weight)
        shifts.append(curvature.shift)
        extras.append(curvature.extra)
    extra = {name: torch.stack([e[name] for e in extras], -1) for name in extras[0]}
    sources = {name: s2 + extra.pop(name) for name, s2 in first.sources.items() if name in extra}
    return replace(
        first,
        mean=first.mean + torch.stack(shifts, -1),
        sources={**first.sources, **sources, **extra},
        method="taylor, second order",
    )


class Curvature:
    """Half the traces of one output, summed over the columns v of every source's root."""

    def __init__(
        self, inputs: Inputs, leaves: dict[str, Tensor], J: dict[str, Tensor], create_graph: bool
    ):
        self.inputs, self.leaves, self.J, self.create_graph = inputs, leaves, J, create_graph
        zero = torch.zeros(len(inputs), dtype=inputs.dtype, device=inputs.device)
        self.shift = zero
        self.extra = dict.fromkeys(leaves, zero)
        if len(leaves) > 1:
            self.extra[INTERACTION] = zero

    def add(self, name: str, v: Tensor, weight: float) -> None:
        """Add the terms of column v (B, D_i) of source i = `name`."""
        Hv = _gradient((self.J[name] * v).sum(), self.leaves, self.create_graph)
        self.shift = self.shift + weight / 2 * (v * Hv[name]).sum(-1)
        for other, Hv_j in Hv.items():
            source = name if other == name else INTERACTION
            trace = self.inputs.covariances[other].quadratic(Hv_j[None])[0]
            self.extra[source] = self.extra[source] + weight / 2 * trace


def _gradient(scalar: Tensor, leaves: dict[str, Tensor], create_graph: bool) -> dict[str, Tensor]:
    """Gradients (B, D_i); zero where the scalar does not depend on a leaf."""
    flat = {name: z.reshape(len(z), -1) for name, z in leaves.items()}
    if not scalar.requires_grad:  # an affine function has a constant gradient
        return {name: torch.zeros_like(z) for name, z in flat.items()}
    found = torch.autograd.grad(
        scalar,
        list(leaves.values()),
        retain_graph=True,
        create_graph=create_graph,
        materialize_grads=True,
    )
    return {name: J.reshape(len(J), -1) for name, J in zip(leaves, found, strict=True)}


def _columns(
    inputs: Inputs, name: str, probes: int | None, generator: torch.Generator
) -> Iterator[tuple[Tensor, float]]:
    """Yield columns (B, D_i) of the root of a source's covariance, or mixtures of all."""
    covariance = inputs.covariances[name]
    shape = (len(inputs), covariance.columns)
    if probes is None:
        for column in torch.eye(shape[1], dtype=inputs.dtype, device=inputs.device):
            yield covariance.root(column.expand(shape)), 1.0
        return
    for _ in range(probes):
        coin = torch.randint(2, shape, generator=generator, device=inputs.device)
        yield covariance.root((2 * coin - 1).to(inputs.dtype)), 1 / probes
