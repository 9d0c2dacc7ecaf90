r"""The second road: draw the uncertain latents, run the function, and look at the spread.

By the law of total variance (design equation 10), over draws s of the latents,

.. math:: \operatorname{Var}[y] = \operatorname{Var}_s(E[y|s]) + E_s(\operatorname{Var}[y|s])

whose second part is the function's own noise, the source ``"head"``. The first part is split
by source: each source *alone*, the others at their means, and the remainder, which no source
makes by itself, as ``"interaction"`` (a functional analysis of variance anchored at the mean).

Nothing is assumed about the function but that its rows are independent; the price is noise of
relative size sqrt((kurtosis - 1) / num_samples) in every variance. Draws are folded into the
batch axis in chunks and only their moments are kept.
"""

from __future__ import annotations

import torch

from sure_pyro.propagation.decompose import JOINT, decompose
from sure_pyro.propagation.draws import Draws, Plain
from sure_pyro.propagation.inputs import (
    Function,
    Inputs,
    Mean,
    Variance,
    check_finite,
    check_rows_independent,
    prepare,
)
from sure_pyro.propagation.moments import TOTAL, Moments
from sure_pyro.propagation.noise import Normal, make_generator
from sure_pyro.propagation.rows import merge, split_rows
from sure_pyro.propagation.runs import Run, plan_runs


def sampling(
    fn: Function,
    mean: Mean,
    variance: Variance,
    *,
    num_samples: int = 1000,
    seed: int | torch.Generator = 0,
    by_source: bool = True,
    output_covariance: bool = False,
    head: str = "head",
    max_rows: int = 4096,
    create_graph: bool = False,
    check_rows: bool = True,
) -> Moments:
    """Carry a latent variance through `fn` by drawing the latents (equation 10).

    Consistent for any function; the standard errors come with the result. Cost: `num_samples`
    forward passes of the uncertain rows, once for the total and once for each source that has
    company; 1 forward pass of the other rows.

    Parameters
    ----------
    fn, mean, variance, output_covariance, head, check_rows
        As in `taylor`; `fn` need not be differentiable.
    num_samples : int
        Draws per row, at least 2.
    seed : int or torch.Generator
        The same seed gives the same result. The global generator is not touched.
    by_source : bool
        Also draw each source alone. Otherwise several sources are one, called ``"joint"``.
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
    if num_samples < 2:
        raise ValueError(f"`num_samples` must be at least 2 for a variance; got {num_samples}.")
    inputs = prepare(fn, mean, variance, (head, JOINT))
    generator = make_generator(seed, inputs.device)
    with torch.inference_mode(False), torch.set_grad_enabled(create_graph):
        if check_rows:
            check_rows_independent(inputs, inputs.evaluate(inputs.latents)[0])
        blocks = []
        for rows in split_rows(inputs):
            block = inputs.rows(rows)
            if block.covariances:
                runs = plan_runs(block, by_source, output_covariance)
                noise = dict.fromkeys(block.covariances, Normal())
                _run(runs, Plain(block, noise, generator), num_samples, max_rows)
                blocks.append((rows, decompose(block, runs, by_source, head)))
            else:
                blocks.append((rows, at_mean(block, head)))
    names = [*inputs.covariances] if by_source or len(inputs.covariances) == 1 else [JOINT]
    result = merge(blocks, names, len(inputs))
    check_finite("mean of the draws of `fn`", result.mean)
    check_finite("variance of the draws of `fn`", result.variance)
    return result


def at_mean(inputs: Inputs, head: str) -> Moments:
    """Return the moments of rows in which nothing is uncertain: one forward pass, no error."""
    y, noise = inputs.evaluate(inputs.latents)
    zero = torch.zeros_like(y)
    return Moments(
        mean=y,
        sources={} if noise is None else {head: noise},
        mean_error=zero,
        errors={TOTAL: zero},
        method="sampling",
    )


def _run(runs: list[Run], draws: Draws, num_samples: int, max_rows: int) -> None:
    inputs = runs[0].inputs
    chunk = max(1, max_rows // len(inputs))
    for start in range(0, num_samples, chunk):
        noise = draws.draw(min(chunk, num_samples - start), 0)
        deviations = {name: inputs.covariances[name].root(eps) for name, eps in noise.items()}
        for run in runs:
            run.update(deviations)
