r"""Taylor to second order: a shift of the mean, and a second term of the variance.

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

from sure_pyro.equations import second_order_mean
from sure_pyro.propagation.delta_method import taylor
from sure_pyro.propagation.differentiation import differentiation
from sure_pyro.propagation.inputs import (
    Function,
    Inputs,
    Known,
    Mean,
    Variance,
    check_finite,
)
from sure_pyro.propagation.linearise import leaf
from sure_pyro.propagation.moments import INTERACTION, Moments
from sure_pyro.propagation.noise import make_generator
from sure_pyro.propagation.prepare import prepare
from sure_pyro.propagation.rows import split_rows

METHOD = "taylor, second order"


def second_order(
    fn: Function,
    mean: Mean,
    variance: Variance,
    *,
    known: Known = None,
    probes: int | None = None,
    seed: int | torch.Generator = 0,
    head: str = "head",
    create_graph: bool = False,
    check_rows: bool = True,
) -> Moments:
    """Carry a latent variance through `fn` to second order (equation 9).

    Exact for a quadratic function of Gaussian latents. Cost: that of `taylor`, and C * D backward
    passes through the gradient (C * `probes`), with fused attention spelled out.

    Parameters
    ----------
    fn, mean, variance, known, head, create_graph, check_rows
        As in `sure_pyro.propagation.taylor`; `fn` must be twice differentiable.
    probes : int, optional
        Random signs in place of the D latent entries: an unbiased estimate.
    seed : int or torch.Generator
        Of the probes.

    Returns
    -------
    Moments
        With the ``"interaction"`` where there are several sources.

    Raises
    ------
    TypeError, ValueError
        As in `taylor`, and if `probes` is not positive.
    """
    if probes is not None and probes < 1:
        raise ValueError(f"`probes` must be positive; got {probes}.")
    first = taylor(
        fn, mean, variance, known=known, head=head, create_graph=create_graph, check_rows=check_rows
    )
    inputs = prepare(fn, mean, variance, head, known)
    rows, _ = split_rows(inputs)
    if not len(rows):
        return replace(first, method=METHOD)
    generator = make_generator(seed, inputs.device)
    with differentiation(twice=True):
        result = _curved(first, inputs.rows(rows), rows, probes, generator, create_graph)
    check_finite("mean to second order (a second derivative of `fn`)", result.mean)
    check_finite("variance to second order (a second derivative of `fn`)", result.variance)
    return result if create_graph else result.detach()


def _curved(
    first: Moments,
    block: Inputs,
    rows: Tensor,
    probes: int | None,
    generator: torch.Generator,
    create_graph: bool,
) -> Moments:
    """Add to first-order moments what the curvature makes in `rows`, those of `block`."""
    leaves = {name: leaf(block.latents[name], create_graph) for name in block.covariances}
    y, _ = block.evaluate({**block.latents, **leaves})
    outputs = []
    for c in range(y.shape[1]):
        J = _gradient(y[:, c].sum(), leaves, create_graph=True)
        curvature = Curvature(block, leaves, J, create_graph)
        for name in leaves:
            for v, weight in _columns(block, name, probes, generator):
                curvature.add(name, v, weight)
        outputs.append(curvature)
    mean = second_order_mean(
        first.mean[rows],
        torch.stack([torch.stack(o.second_derivatives, -1) for o in outputs], 1),
        torch.stack(outputs[0].variances),
    )
    sources = {name: s2 for name, s2 in first.sources.items() if name in block.latents}
    for name in outputs[0].extra:
        extra = torch.stack([o.extra[name] for o in outputs], -1)
        zero = torch.zeros_like(first.mean)
        sources[name] = sources.get(name, zero).index_add(0, rows, extra)
    sources |= {name: s2 for name, s2 in first.sources.items() if name not in sources}  # the head
    return replace(first, mean=first.mean.index_copy(0, rows, mean), sources=sources, method=METHOD)


class Curvature:
    """Second derivatives of one output along the columns v of every source's root.

    In z = mu + sum v e the coordinates e have unit variance. `extra` is half the traces of the
    variance's second term, by source.
    """

    def __init__(
        self, inputs: Inputs, leaves: dict[str, Tensor], J: dict[str, Tensor], create_graph: bool
    ):
        self.inputs, self.leaves, self.J, self.create_graph = inputs, leaves, J, create_graph
        self.second_derivatives: list[Tensor] = []
        self.variances: list[Tensor] = []
        zero = torch.zeros(len(inputs), dtype=inputs.dtype, device=inputs.device)
        self.extra = dict.fromkeys(leaves, zero)
        if len(leaves) > 1:
            self.extra[INTERACTION] = zero

    def add(self, name: str, v: Tensor, weight: float) -> None:
        """Add the terms of column v (B, D_i) of source i = `name`."""
        Hv = _gradient((self.J[name] * v).sum(), self.leaves, self.create_graph)
        self.second_derivatives.append((v * Hv[name]).sum(-1))
        self.variances.append(v.new_tensor(weight))
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
