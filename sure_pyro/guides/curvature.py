r"""Fisher information of a Pyro program with respect to its weights.

.. math:: F = \sum_{\text{rows}} E_{y \sim p_w}\big[\nabla_w \log p_w(y)\,
              \nabla_w \log p_w(y)^T\big]

which is the generalised Gauss-Newton matrix of the usual likelihoods: positive semi-definite
wherever it is taken, unlike the Hessian, and equal to it in expectation at the truth. Both ways
below read the observed sites of a trace, so they work with any program and any handler around it.

References
----------
Martens (2020). New insights and perspectives on the natural gradient method. JMLR 21(146).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyro.distributions as dist
import torch
from jaxtyping import Float
from pyro import poutine
from pyro.distributions.util import scale_and_mask, sum_rightmost
from torch import Tensor
from torch.distributions import kl_divergence

from sure_pyro.guides.normal import flat
from sure_pyro.guides.program import WeightProgram

CHUNK = 128  # columns of the full matrix that are made at once


def full_fisher(program: WeightProgram, batches: Sequence[tuple]) -> Float[Tensor, "D D"]:
    r"""Fisher information of all parameters together, exactly.

    It is the curvature of a divergence from the distributions at the fitted weights w0, where
    that divergence is smallest:

    .. math:: F = \nabla_w^2 \sum_{\text{sites}} \mathrm{KL}(p_{w_0} \| p_w)\,\big|_{w = w_0}

    Where a score has no divergence (CRPS, say), it is the Hessian of the scores themselves, whose
    negative eigenvalues are set to zero. Cost: D / 128 double backward passes over each batch.

    Parameters
    ----------
    program : WeightProgram
    batches : sequence of tuple
        Arguments of the program; together they stand for the full data.

    Returns
    -------
    Tensor, shape ``(D, D)``
        Of the full data, float64, without the prior.
    """
    shares = _shares(batches)
    return sum(
        share * _hessian(program, batch) for share, batch in zip(shares, batches, strict=True)
    )  # type: ignore[return-value]


def diagonal_fisher(
    program: WeightProgram, batches: Sequence[tuple], passes: int, seed: int
) -> Float[Tensor, " D"]:
    """Diagonal of the Fisher information, estimated from targets that the model draws itself.

    The gradient of a batch's log-likelihood at drawn targets is a sum of independent terms with
    mean zero, so its square has the diagonal of the batch as its mean. The relative standard error
    is about ``sqrt(2 / (passes * number of batches))``. Cost: one backward pass for each.

    Parameters
    ----------
    program, batches
        As in `full_fisher`.
    passes : int
        Over the batches.
    seed : int
        Of the drawn targets; the global generator is left as it was.

    Returns
    -------
    Tensor, shape ``(D,)``
        Of the full data, float64, without the prior.
    """
    total: Any = 0.0
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for share, batch in zip(_shares(batches) * passes, [*batches] * passes, strict=True):
            weights = _leaves(program)
            score = sum(_scores(program, weights, batch, drawn=True))
            gradient = flat(dict(zip(weights, _grad(score, weights), strict=True))).double()
            scale = program.num_rows / len(batch[0])  # the gradient has it, and its square twice
            total = total + share / passes * gradient.square() / scale
    return total


def _shares(batches: Sequence[tuple]) -> list[float]:
    """Share of all rows that each batch holds; each is scaled to the full data already."""
    if not batches:
        raise ValueError("`batches` is empty: give at least one batch of the data.")
    rows = [len(batch[0]) for batch in batches]
    return [n / sum(rows) for n in rows]


def _hessian(program: WeightProgram, batch: tuple) -> Float[Tensor, "D D"]:
    weights = _leaves(program)
    try:
        divergence, convex = sum(_divergences(program, weights, batch)), True
    except NotImplementedError:
        divergence, convex = -sum(_scores(program, weights, batch, drawn=False)), False
    gradient = flat(dict(zip(weights, _grad(divergence, weights, True), strict=True)))
    rows = []
    for basis in torch.eye(len(gradient)).to(gradient).split(CHUNK):
        columns = torch.autograd.grad(
            gradient,
            list(weights.values()),
            basis,
            is_grads_batched=True,
            retain_graph=True,
            allow_unused=True,
        )
        # A parameter that the score does not see (a variance under squared error) has no column.
        full = [
            torch.zeros(len(basis), w.numel()).to(w) if c is None else c.flatten(1)
            for c, w in zip(columns, weights.values(), strict=True)
        ]
        rows.append(torch.cat(full, 1).double())
    H = torch.cat(rows)
    H = (H + H.mT) / 2
    return H if convex else _positive(H)


def _positive(H: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(H)
    return (vectors * values.clamp_min(0)) @ vectors.mT


def _leaves(program: WeightProgram) -> dict[str, Tensor]:
    return {name: w.clone().requires_grad_() for name, w in program.fitted.items()}


def _grad(value, weights: Mapping[str, Tensor], create_graph: bool = False):
    with torch.enable_grad():
        return torch.autograd.grad(
            value, list(weights.values()), create_graph=create_graph, materialize_grads=True
        )


def _sites(program: WeightProgram, weights: Mapping[str, Tensor], batch: tuple) -> list:
    """Observed sites of the likelihood."""
    trace: Any = poutine.trace(program.observe).get_trace(weights, *batch)
    return [
        site for site in trace.nodes.values() if site["type"] == "sample" and site["is_observed"]
    ]


def _divergences(program: WeightProgram, weights: Mapping[str, Tensor], batch: tuple) -> list:
    with torch.no_grad():
        fixed = _sites(program, program.fitted, batch)
    with torch.enable_grad():
        return [
            scale_and_mask(divergence(a["fn"], b["fn"]), b["scale"], b["mask"]).sum()
            for a, b in zip(fixed, _sites(program, weights, batch), strict=True)
        ]


def divergence(p, q) -> Tensor:
    """Something with the curvature of KL(p || q) at q = p, which is the Fisher information.

    The divergence itself, where it is known in closed form and smooth. That of two Laplace
    distributions has a kink where it is smallest, and that of two Student-t has no closed form:
    for them a square with the information of location and log-scale.
    """
    if isinstance(p, dist.Independent):
        inner = divergence(p.base_dist, q.base_dist)
        return sum_rightmost(inner, p.reinterpreted_batch_ndims)
    if isinstance(p, dist.Laplace | dist.StudentT):
        df = p.df if isinstance(p, dist.StudentT) else None
        location = 1.0 if df is None else (df + 1) / (df + 3)
        log_scale = 1.0 if df is None else 2 * df / (df + 3)
        d, log_ratio = (q.loc - p.loc) / p.scale, (q.scale / p.scale).log()
        return (location * d.square() + log_scale * log_ratio.square()) / 2
    return kl_divergence(p, q)


def _scores(
    program: WeightProgram, weights: Mapping[str, Tensor], batch: tuple, drawn: bool
) -> list:
    """Log-likelihood of each site, at its own value or at one that the model draws."""
    scores = []
    with torch.enable_grad():
        for site in _sites(program, weights, batch):
            value = _drawn(site["fn"], site["value"]) if drawn else site["value"]
            log_prob = site["fn"].log_prob(value)
            scores.append(scale_and_mask(log_prob, site["scale"], site["mask"]).sum())
    return scores


def _drawn(fn, observed: Tensor) -> Tensor:
    """A draw of a distribution; what was observed, for a score that can not be drawn from."""
    try:
        return fn.sample().detach()
    except NotImplementedError:
        return observed
