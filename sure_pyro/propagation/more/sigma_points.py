r"""Sigma points: between Taylor and sampling, with neither gradients nor chance.

A Gaussian z = mu + L e of D entries is replaced by 2 D + 1 points with the same mean and
covariance [Julier1997]_,

.. math:: z_0 = \mu, \quad z_{\pm j} = \mu \pm \sqrt{D + \kappa}\; L e_j, \qquad
          w_0 = \frac{\kappa}{D + \kappa}, \quad w_{\pm j} = \frac{1}{2 (D + \kappa)}

and mean and variance of y are those of the weighted outputs. With kappa = 0 (the default) this is
the spherical cubature rule of third degree [Arasaratnam2009]_: the mean is exact for polynomials
up to degree three, the variance for affine functions. The points lie sqrt(D) standard deviations
away, so a strongly nonlinear function of many entries is looked at where few draws ever go.

Each single source has its own points, as it has its own draws in `sampling`. Cost: 2 D forward
passes for the total, and as many again for the sources; no backward pass.

References
----------
.. [Julier1997] Julier, Uhlmann. New extension of the Kalman filter to nonlinear systems.
.. [Arasaratnam2009] Arasaratnam, Haykin. Cubature Kalman filters. IEEE TAC 54(6), 1254-1269.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sure_pyro.equations import total_variance
from sure_pyro.propagation.independence import check_rows_independent
from sure_pyro.propagation.inputs import (
    Function,
    Inputs,
    Known,
    Mean,
    Variance,
    check_finite,
)
from sure_pyro.propagation.moments import INTERACTION, Moments
from sure_pyro.propagation.prepare import prepare
from sure_pyro.propagation.rows import merge
from sure_pyro.propagation.runs import evaluate_draws


def unscented(
    fn: Function,
    mean: Mean,
    variance: Variance,
    *,
    known: Known = None,
    kappa: float = 0.0,
    head: str = "head",
    max_rows: int = 4096,
    check_rows: bool = True,
) -> Moments:
    """Carry a latent variance through `fn` by sigma points.

    Parameters
    ----------
    fn, mean, variance, known, head
        As in `sure_pyro.propagation.taylor`; `fn` need not be differentiable.
    kappa : float
        Extra weight of the centre; 0 is the cubature rule. A negative one can make negative
        variances and is refused.
    max_rows : int
        Rows per call of `fn`.
    check_rows : bool
        As in `taylor`.

    Returns
    -------
    Moments
        Each single source, and the ``"interaction"`` where there are several.

    Raises
    ------
    TypeError, ValueError
        As in `taylor`, and if `kappa` is negative.
    """
    if not kappa >= 0:
        raise ValueError(f"`kappa` must not be negative; got {kappa}.")
    inputs = prepare(fn, mean, variance, head, known)
    with torch.inference_mode(False), torch.no_grad():
        if check_rows:
            check_rows_independent(inputs.evaluate_mean()[0], None, inputs)
        blocks = [
            (rows, _block(inputs.rows(rows), kappa, head, max_rows)) for rows in _patterns(inputs)
        ]
        result = merge(blocks, [*inputs.covariances], len(inputs))
    check_finite("mean over the sigma points of `fn`", result.mean)
    check_finite("variance over the sigma points of `fn`", result.variance)
    return result


def _patterns(inputs: Inputs) -> list[Tensor]:
    """Indices of the rows in which the same sources are uncertain: they share their points."""
    active = list(inputs.active.values())
    if not active:
        return [inputs.everything]
    _, pattern = torch.stack(active, -1).unique(dim=0, return_inverse=True)
    if not pattern.any():
        return [inputs.everything]
    return [(pattern == p).nonzero()[:, 0] for p in range(int(pattern.max()) + 1)]


def _block(inputs: Inputs, kappa: float, head: str, max_rows: int) -> Moments:
    """Moments of rows in which the same sources are uncertain."""
    names = list(inputs.covariances)
    mean, total, noise = _transform(inputs, names, kappa, max_rows)
    if len(names) > 1:
        sources = {name: _transform(inputs, [name], kappa, max_rows)[1] for name in names}
        sources[INTERACTION] = total - total_variance(sources.values())
    else:
        sources = dict.fromkeys(names, total)
    return Moments(mean, sources, method="unscented").with_source(head, noise)


def _transform(
    inputs: Inputs, names: list[str], kappa: float, max_rows: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Weighted mean and variance of the output, and weighted mean of its noise, all (B, C)."""
    centre, noise = inputs.evaluate_mean()
    D = sum(inputs.covariances[name].columns for name in names)
    weight = 1 / (2 * (D + kappa)) if D else 0.0
    first, second = torch.zeros_like(centre), torch.zeros_like(centre)
    extra = torch.zeros_like(centre)
    for deviations in _points(inputs, names, (D + kappa) ** 0.5, max_rows):
        y, h = evaluate_draws(inputs, inputs.latents, deviations, known=inputs.known)  # (S, B, C)
        d = y - centre
        first, second = first + d.sum(0), second + d.square().sum(0)
        if h is not None and noise is not None:
            extra = extra + (h - noise).sum(0)
    shift = weight * first
    variance = weight * second - shift.square()
    return centre + shift, variance, None if noise is None else noise + weight * extra


def _points(
    inputs: Inputs, names: list[str], scale: float, max_rows: int
) -> Iterator[dict[str, Tensor]]:
    """Yield deviations (S, B, D_i) of chunks of the points on either side."""
    columns = [inputs.covariances[name].columns for name in names]
    B, D = len(inputs), sum(columns)
    chunk = max(1, max_rows // (2 * B))
    for start in range(0, D, chunk):
        unit = torch.zeros(min(chunk, D - start), D, dtype=inputs.dtype, device=inputs.device)
        unit[torch.arange(len(unit)), torch.arange(start, start + len(unit))] = scale
        both = torch.cat([unit, -unit])[:, None].expand(-1, B, D)  # (S, B, D)
        parts = zip(names, both.split(columns, -1), strict=True)
        yield {name: inputs.covariances[name].root(noise) for name, noise in parts}
