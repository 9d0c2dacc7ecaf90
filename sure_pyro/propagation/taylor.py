r"""The delta method: carry a latent covariance through a function, to first or second order.

With z ~ (mu, Sigma_i) independent over the sources i, and J_i = dy/dz_i at mu,

.. math:: s^2_i[y_c] = J_{ic}\,\Sigma_i\,J_{ic}^T
          \;\overset{\text{diagonal}}{=}\; \sum_k (\partial y_c / \partial z_{ik})^2 \sigma_{ik}^2

(design equation 7; delta method [Oehlert1992]_, used for missing modalities by [Nguyen2025]_).

Rows do not mix, so the gradient of a column's sum holds that output's gradient for every row:
one forward and C backward passes in all, for any number of sources, and no (B, C, D) Jacobian
is ever held. Only rows in which something is uncertain are differentiated, and only with
respect to the latents that are uncertain in one of them.

References
----------
.. [Oehlert1992] A note on the delta method. The American Statistician 46(1), 27-29.
.. [Nguyen2025] Are you SURE? Enhancing multimodal pretraining ... arXiv:2504.13465.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sure_pyro.propagation.inputs import (
    Function,
    Inputs,
    Mean,
    Variance,
    check_differentiable,
    check_finite,
    check_rows_independent,
    differentiation,
    prepare,
)
from sure_pyro.propagation.moments import Moments
from sure_pyro.propagation.rows import merge, split_rows


def taylor(
    fn: Function,
    mean: Mean,
    variance: Variance,
    *,
    output_covariance: bool = False,
    head: str = "head",
    create_graph: bool = False,
    check_rows: bool = True,
) -> Moments:
    """Carry a latent variance through `fn`, to first order (equations 7 and 8).

    Exact for an affine function. Otherwise the relative error is of the order of the variance,
    and a function that is flat at `mean` yields zero however curved it is: compare with
    `sampling` by `cross_check`. Cost: 1 forward and C backward passes of the uncertain rows,
    1 forward pass of the others.

    Parameters
    ----------
    fn : callable
        Differentiable, row by row (so in ``eval()`` mode): a dictionary of latents (a Tensor,
        if `mean` is one) to a Tensor (B, C), or to a pair (mean, variance), each (B, C), when
        the output has noise of its own.
    mean : Tensor (B, *event) or dict of them
        Where `fn` is linearised. An entry without a `variance` is known exactly; it may have
        any dtype (a padding mask) and is cut to rows with the others.
    variance : Tensor (B, *event), FullCovariance, LowRankCovariance, or dict of them
        Of the uncertain latents, in squared units of `mean`; zero where an entry is known.
    output_covariance : bool
        Also keep the (B, C, C) covariance of the outputs, by source.
    head : str
        Name of the source made of the function's own noise.
    create_graph : bool
        Let gradients flow through the result (into `mean`, `variance` and the parameters of
        `fn`), so that it can be part of a loss. Otherwise it is detached.
    check_rows : bool
        Refuse a function whose rows leak into each other, at the price of a forward pass of
        two rows.

    Returns
    -------
    Moments
        With one source per entry of `variance` (called ``"input"`` if it is a Tensor).

    Raises
    ------
    TypeError, ValueError
        If names, shapes, dtypes or values do not fit, `fn` mixes rows or its output is not
        finite; the message says where.

    Examples
    --------
    >>> import torch
    >>> W = torch.tensor([[1.0, 0.0], [2.0, 1.0]])
    >>> y = taylor(lambda z: z @ W, mean=torch.zeros(1, 2), variance=torch.ones(1, 2))
    >>> y.variance
    tensor([[5., 1.]])
    """
    inputs = prepare(fn, mean, variance, (head,))
    with differentiation(twice=create_graph):
        blocks = [
            (rows, _linearise(inputs.rows(rows), head, output_covariance, create_graph))
            for rows in split_rows(inputs)
        ]
        result = merge(blocks, [*inputs.covariances], len(inputs))
    check_finite("output of `fn` at the mean", result.mean)
    check_finite("propagated variance (a gradient of `fn`)", result.variance)
    if check_rows:
        check_rows_independent(inputs, result.mean)
    return result if create_graph else result.detach()


def _linearise(inputs: Inputs, head: str, output_covariance: bool, create_graph: bool) -> Moments:
    """Equations 7 and 8 for a block of rows: its sources are those uncertain in some of them."""
    leaves = make_leaves(inputs, create_graph)
    with torch.set_grad_enabled(create_graph or bool(leaves)):  # else a plain forward pass
        y, noise = inputs.evaluate({**inputs.latents, **leaves})  # (B, C)
    check_differentiable(inputs, y)
    if output_covariance:
        J = jacobian(y, leaves, create_graph)
        covariances = {name: c.between(J[name]) for name, c in inputs.covariances.items()}
        sources = {name: S.diagonal(dim1=-2, dim2=-1) for name, S in covariances.items()}
    else:
        covariances = None
        per_output = [
            {name: inputs.covariances[name].quadratic(J_c) for name, J_c in J.items()}
            for J in gradients(y, leaves, create_graph)
        ]
        sources = {name: torch.stack([s2[name] for s2 in per_output], -1) for name in leaves}
    if noise is not None:
        sources[head] = noise
        if covariances is not None:
            covariances[head] = noise.diag_embed()
    return Moments(mean=y, sources=sources, covariances=covariances)


def make_leaves(inputs: Inputs, create_graph: bool = False) -> dict[str, Tensor]:
    """Uncertain latents as variables of their own, attached to what made them if asked."""
    uncertain = {name: inputs.latents[name] for name in inputs.covariances}
    return {
        name: z.view_as(z) if create_graph and z.requires_grad else z.detach().requires_grad_()
        for name, z in uncertain.items()
    }


def gradients(
    y: Tensor, leaves: dict[str, Tensor], create_graph: bool = False
) -> Iterator[dict[str, Tensor]]:
    """Yield dy_c/dz_i (B, D_i) by source i, for c = 1..C: one backward pass each."""
    B, C = y.shape
    for c in range(C if leaves else 0):
        if not y.requires_grad:  # a function that ignores every uncertain latent
            yield {name: torch.zeros_like(z).reshape(B, -1) for name, z in leaves.items()}
            continue
        one_hot = torch.zeros_like(y)
        one_hot[:, c] = 1  # the gradient of y[:, c].sum()
        J = torch.autograd.grad(
            y,
            list(leaves.values()),
            one_hot,
            retain_graph=create_graph or c + 1 < C,
            create_graph=create_graph,
            materialize_grads=True,
        )
        yield {name: J_c.reshape(B, -1) for name, J_c in zip(leaves, J, strict=True)}


def jacobian(y: Tensor, leaves: dict[str, Tensor], create_graph: bool = False) -> dict[str, Tensor]:
    """dy/dz_i (B, C, D_i) by source i, all held at once."""
    columns = list(gradients(y, leaves, create_graph))
    return {name: torch.stack([J[name] for J in columns], 1) for name in leaves}
