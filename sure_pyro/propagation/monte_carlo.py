r"""Sampling: draw the uncertain latents, run the function, and look at the spread.

By the law of total variance (equation 10), over draws s of the latents and weights,

.. math:: \operatorname{Var}[y] = \operatorname{Var}_s(E[y|s]) + E_s(\operatorname{Var}[y|s])

whose second part is the function's own noise, the source ``"head"``. The first part is split
by source: each single source, the others at their means, and the remainder, which no source
makes by itself, as ``"interaction"`` (a functional analysis of variance anchored at the mean).

Nothing is assumed about the function but that its rows are independent; the price is noise of
relative size sqrt((kurtosis - 1) / num_samples) in every variance. Draws are folded into the
batch axis in chunks and only their moments are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from sure_pyro.propagation.budget import Budget, draw
from sure_pyro.propagation.covariance import FullCovariance
from sure_pyro.propagation.decompose import decompose
from sure_pyro.propagation.differentiation import differentiation
from sure_pyro.propagation.draws import make_draws
from sure_pyro.propagation.independence import check_rows_independent
from sure_pyro.propagation.inputs import (
    Expect,
    Function,
    Inputs,
    Known,
    Mean,
    Variance,
    Weights,
    check_finite,
)
from sure_pyro.propagation.linearise import jacobian, linearise
from sure_pyro.propagation.moments import JOINT, TOTAL, Moments
from sure_pyro.propagation.noise import NORMAL, Noise, make_generator
from sure_pyro.propagation.prepare import prepare
from sure_pyro.propagation.rows import merge, split_rows
from sure_pyro.propagation.runs import plan_runs


def sampling(
    fn: Function,
    mean: Mean,
    variance: Variance,
    *,
    known: Known = None,
    num_samples: int = 1000,
    seed: int | torch.Generator = 0,
    draws: Literal["plain", "sobol"] = "plain",
    control: Literal["taylor"] | None = None,
    noise: Noise | Mapping[str, Noise] = NORMAL,
    weights: Weights | None = None,
    relative_error: float | None = None,
    max_samples: int = 100_000,
    by_source: bool = True,
    expect: Expect | None = None,
    output_covariance: bool = False,
    head: str = "head",
    max_rows: int = 4096,
    create_graph: bool = False,
    check_rows: bool = True,
) -> Moments:
    """Carry a latent variance through `fn` by drawing the latents (equation 10).

    Consistent for any function; the standard errors come with the result. Cost: `num_samples`
    forward passes of the uncertain rows, once for the total and once for each source beside which
    another one is uncertain; 1 forward pass of the other rows.

    Parameters
    ----------
    fn, mean, variance, known, output_covariance, head, check_rows
        As in `taylor`; `fn` need not be differentiable.
    num_samples : int
        Draws per row, at least 2; 64 or more with a control, which has slopes to estimate.
    seed : int or torch.Generator
        The same seed gives the same result. The global generator is not touched.
    draws : "plain" or "sobol"
        Independent, or scrambled Sobol points: fewer errors from about 256 draws on.
    control : "taylor", optional
        Use the linearised output of every draw, whose variance is known exactly, as control
        variate: far fewer draws where `fn` is close to linear, at the price of C backward
        passes and of holding the (B, C, D) Jacobian. A wrong gradient can not bias it.
    noise : NormalNoise, StudentTNoise, LaplaceNoise, or dict of them by source
        Shape of the latent noise; `variance` is its variance whatever the shape.
    weights : callable, optional
        ``weights(seed)`` draws a dictionary of parameters of the module `fn`, the source
        ``"weights"`` (one call of `fn` per draw). From a Pyro guide::

            def weights(seed):
                with torch.random.fork_rng():
                    torch.manual_seed(seed)
                    return guide()

        Each single latent is drawn with the parameters that `fn` has: set them to the guide's
        median.
    relative_error : float, optional
        Draw on until every total variance has at most this standard error, relative to it.
    max_samples : int
        Where to stop in any case, with a warning.
    by_source : bool
        Also draw each single source. Otherwise several sources are one, called ``"joint"``.
    expect : callable, optional
        Function of the output and its noise variance (None without one), each (*batch, C), to
        (*batch, K): its mean over the draws is kept as ``expected``. The mean of softmax(y), say,
        which is not softmax of the mean.
    max_rows : int
        Rows per call of `fn`: draws are made in chunks of ``max_rows // B``, at least one.
    create_graph : bool
        Let gradients flow (reparameterised draws). All draws are then held in memory.

    Returns
    -------
    Moments
        With standard errors of the mean and of every variance.

    Raises
    ------
    TypeError, ValueError
        If names, shapes, dtypes or values do not fit, `fn` mixes rows or its output is not
        finite; the message says where.
    """
    budget = Budget(num_samples, relative_error, max_samples, max_rows)
    inputs = replace(prepare(fn, mean, variance, head, known), weights=weights)
    _check_options(inputs, control, create_graph)
    generator = make_generator(seed, inputs.device)
    with torch.inference_mode(False), torch.set_grad_enabled(create_graph):
        if check_rows:
            y, _ = inputs.evaluate_mean()
            check_finite("output of `fn` at the mean", y)
            check_rows_independent(y, None, inputs)
        uncertain, certain = split_rows(inputs)
        blocks = []
        if len(certain):
            blocks.append((certain, _at_mean(inputs, certain, head, output_covariance, expect)))
        if len(uncertain):
            block = inputs.rows(uncertain)
            source = make_draws(draws, block, noise, generator)
            J = _jacobian(block) if control == "taylor" else None
            runs = plan_runs(block, by_source, output_covariance, J, source.replicates, expect)
            draw(runs, source, budget)
            blocks.append((uncertain, decompose(block, runs, by_source, head)))
    names = [*inputs.active] if by_source or len(inputs.active) == 1 else [JOINT]
    result = merge(blocks, names, len(inputs))
    check_finite("mean of the draws of `fn`", result.mean)
    check_finite("variance of the draws of `fn`", result.variance)
    return result


def _check_options(inputs: Inputs, control: str | None, create_graph: bool) -> None:
    if control not in (None, "taylor"):
        raise ValueError(f'`control` must be "taylor" or None; got {control!r}.')
    if inputs.weights is not None and not callable(inputs.weights):
        raise TypeError(
            "`weights` must be a function of a seed that returns parameters by name; got "
            f"{type(inputs.weights).__name__}."
        )
    if inputs.weights is not None and not isinstance(inputs.fn, nn.Module):
        raise TypeError(
            "`weights` are parameters of a module, so `fn` must be an nn.Module; got "
            f"{type(inputs.fn).__name__}."
        )
    full = [n for n, c in inputs.covariances.items() if isinstance(c, FullCovariance)]
    if create_graph and full:
        raise ValueError(
            f"Gradients can not flow through draws with the full covariance of {full}: use "
            "`taylor`, or a LowRankCovariance."
        )


def _jacobian(inputs: Inputs) -> dict[str, Tensor] | None:
    if not inputs.covariances:
        return None
    with differentiation(twice=False):
        return jacobian(linearise(inputs)[2])


def _at_mean(
    inputs: Inputs, rows: Tensor, head: str, output_covariance: bool, expect: Expect | None
) -> Moments:
    """Return the moments of rows in which nothing is uncertain: one forward pass, no error."""
    y, noise = inputs.evaluate_mean(rows)
    zero = torch.zeros_like(y)
    certain = Moments(
        y,
        covariances={} if output_covariance else None,
        mean_error=zero,
        errors={TOTAL: zero} if noise is None else {head: zero, TOTAL: zero},
        expected=None if expect is None else expect(y, noise),
        method="sampling",
    )
    return certain.with_source(head, noise)
