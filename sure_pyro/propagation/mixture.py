r"""Moments over draws of the weights, by the law of total variance (equation 10).

A road gives the moments of the output under one set of weights w. Over draws of them,

.. math:: \operatorname{Var}[y] = E_w(\operatorname{Var}[y|w]) + \operatorname{Var}_w(E[y|w])

The first part keeps its sources, averaged over the draws; the second is the source
``"weights"`` of equation 8. It is the same for every road, so Taylor and sampling stay siblings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sure_pyro.propagation.moments import TOTAL, WEIGHTS, Moments


def mixture(draws: Sequence[Moments], name: str = WEIGHTS) -> Moments:
    """Combine the moments of the same rows under several draws of the weights.

    The variance between the draws is the unbiased one, less what Monte Carlo errors of the single
    means bring into it (never below zero). One draw has no variance between draws.

    Parameters
    ----------
    draws : sequence of Moments
        Of the same rows, outputs and sources; one per draw.
    name : str
        Of the source that the weights are.

    Returns
    -------
    Moments
        With standard errors that hold the noise of the draws of the weights.

    Raises
    ------
    ValueError
        If there is no draw, or the draws differ in their sources.
    """
    if not draws:
        raise ValueError("`draws` is empty: give the moments of at least one draw of the weights.")
    names = list(draws[0].sources)
    for moments in draws:
        if list(moments.sources) != names:
            raise ValueError(
                f"The draws must have the same sources; got {names} and {list(moments.sources)}."
            )
    means = torch.stack([m.mean for m in draws])  # (S, B, C)
    between, between_error = _between(means, [m.mean_error for m in draws])
    within = {n: torch.stack([m.sources[n] for m in draws]) for n in names}
    total = torch.stack([m.variance for m in draws])
    errors = {n: _error(v) for n, v in within.items()} | {name: between_error}
    errors[TOTAL] = (_error(total).square() + between_error.square()).sqrt()
    counts = [m.num_samples for m in draws if m.num_samples is not None]
    return replace(
        draws[0],
        mean=means.mean(0),
        sources={n: v.mean(0) for n, v in within.items()} | {name: between},
        covariances=_covariances(draws, means, name),
        mean_error=_error(means),
        errors=errors,
        explained=None,
        rows_share_draws=True,
        num_samples=sum(counts) or None,
    )


def _between(means: Tensor, errors: list[Tensor | None]) -> tuple[Tensor, Tensor]:
    """Variance of the means and its standard error (aware of their kurtosis), each (B, C)."""
    S = len(means)
    if S == 1:
        return torch.zeros_like(means[0]), torch.zeros_like(means[0])
    squares = (means - means.mean(0)).square() * S / (S - 1)
    noise = [e.square() for e in errors if e is not None]
    brought = torch.stack(noise).mean(0) if noise else torch.zeros_like(means[0])
    return (squares.mean(0) - brought).clamp_min(0), _error(squares)


def _error(values: Tensor) -> Tensor:
    """Standard error of the mean over the draws (first axis)."""
    if len(values) == 1:
        return torch.zeros_like(values[0])
    return values.std(0) / len(values) ** 0.5


def _covariances(draws: Sequence[Moments], means: Tensor, name: str) -> dict | None:
    """Covariance of the outputs by source, where every draw has it."""
    first = draws[0].covariances
    if first is None:
        return None
    d = means - means.mean(0)
    between = torch.einsum("sbc,sbe->bce", d, d) / max(len(draws) - 1, 1)
    within = {n: torch.stack([(m.covariances or {})[n] for m in draws]).mean(0) for n in first}
    return within | {name: between}
