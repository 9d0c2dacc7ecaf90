r"""The delta method: carry a latent covariance through a function by its tangent.

With z ~ (mu, Sigma_i) independent over the sources i, and J_i = dy/dz_i at mu,

.. math:: s^2_i[y_c] = J_{ic}\,\Sigma_i\,J_{ic}^T
          \;\overset{\text{diagonal}}{=}\; \sum_k (\partial y_c / \partial z_{ik})^2 \sigma_{ik}^2

(equation 7; delta method [Oehlert1992]_, used for missing modalities by [Nguyen2025]_).

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

import torch
from torch import Tensor

from sure_pyro.propagation.differentiation import differentiation
from sure_pyro.propagation.independence import check_rows_independent
from sure_pyro.propagation.inputs import (
    Function,
    Inputs,
    Known,
    Mean,
    Variance,
    check_finite,
)
from sure_pyro.propagation.linearise import Gradients, jacobian, linearise, outputs_together
from sure_pyro.propagation.moments import Moments
from sure_pyro.propagation.prepare import prepare
from sure_pyro.propagation.rows import merge, split_rows


def taylor(
    fn: Function,
    mean: Mean,
    variance: Variance,
    *,
    known: Known = None,
    output_covariance: bool = False,
    head: str = "head",
    create_graph: bool = False,
    check_rows: bool = True,
) -> Moments:
    """Carry a latent variance through `fn` to first order (equations 7 and 8).

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
    known : Tensor (B, ...), dictionary or tuple of them, optional
        What else `fn` takes of every row, such as a mask: it is then called as
        ``fn(mean, known)``, with the rows that are asked for.
    output_covariance : bool
        Also keep the (B, C, C) covariance of the outputs, by source.
    head : str
        Name of the source made of the function's own noise.
    create_graph : bool
        Let gradients flow through the result (into `mean`, `variance` and the parameters of
        `fn`), so that it can be part of a loss. Otherwise it is detached. None flows into the
        `variance` of a row in which that is zero everywhere.
    check_rows : bool
        Refuse a function whose rows leak into each other, at the price of a forward pass of at
        most two rows.

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
    inputs = prepare(fn, mean, variance, head, known)
    with differentiation(twice=create_graph):
        result = _taylor(inputs, head, output_covariance, create_graph, check_rows)
    check_finite("output of `fn` at the mean", result.mean)
    check_finite("propagated variance (a gradient of `fn`)", result.variance)
    return result if create_graph else result.detach()


def _taylor(
    inputs: Inputs,
    head: str,
    output_covariance: bool,
    create_graph: bool,
    check_rows: bool,
) -> Moments:
    """Equation 8: the uncertain rows are differentiated, the others only evaluated."""
    uncertain, certain = split_rows(inputs)
    blocks, together, elsewhere = [], 1, None
    if len(certain):
        # The first uncertain row rides along, to be compared with itself among other rows.
        with torch.set_grad_enabled(create_graph):
            y, noise = inputs.evaluate_mean(torch.cat([certain, uncertain[:1]]))
        elsewhere = y[-1] if len(uncertain) else None
        noise = None if noise is None else noise[: len(certain)]
        moments = Moments(y[: len(certain)], covariances={} if output_covariance else None)
        blocks.append((certain, moments.with_source(head, noise)))
        together = outputs_together(y.shape[1], len(uncertain), len(inputs))
    if len(uncertain):
        block = inputs.rows(uncertain)
        y, noise, gradients = linearise(block, together, create_graph)
        if check_rows:
            check_rows_independent(y, elsewhere, block)
        moments = (_between if output_covariance else _diagonal)(y, block, gradients)
        blocks.append((uncertain, moments.with_source(head, noise)))
    return merge(blocks, [*inputs.covariances], len(inputs))


def _diagonal(y: Tensor, inputs: Inputs, gradients: Gradients) -> Moments:
    """Equation 7: J Sigma J^T by source, the outputs of one pass at a time."""
    passes = [
        {name: inputs.covariances[name].quadratic(J_c) for name, J_c in J.items()}
        for J in gradients
    ]
    names = inputs.covariances
    return Moments(y, {name: torch.cat([s2[name] for s2 in passes]).mT for name in names})


def _between(y: Tensor, inputs: Inputs, gradients: Gradients) -> Moments:
    """Equation 7 with the covariance of the outputs: all gradients are held at once."""
    J = jacobian(gradients)
    S = {name: covariance.between(J[name]) for name, covariance in inputs.covariances.items()}
    return Moments(y, {name: S_i.diagonal(dim1=-2, dim2=-1) for name, S_i in S.items()}, S)
