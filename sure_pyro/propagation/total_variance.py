r"""Moments over draws of the weights, by the law of total variance (equation 10).

A method gives the moments of the output under one set of weights w. Over draws of them,

.. math:: \operatorname{Var}[y] = E_w(\operatorname{Var}[y|w]) + \operatorname{Var}_w(E[y|w])

The first part keeps its sources, averaged over the draws; the second is the source
``"weights"`` of equation 8. It is the same for every method, so Taylor and sampling stay siblings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sure_pyro.equations import law_of_total_variance
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
    by_source = torch.stack([_stacked(m) for m in draws])  # (S, sources, B, C)
    between, within = law_of_total_variance(_over_draws, means, by_source)
    between, between_error = _corrected(between, means, [m.mean_error for m in draws])
    total_error = _error(torch.stack([m.variance for m in draws]))
    errors = dict(zip(names, _error(by_source), strict=True)) | {name: between_error}
    errors[TOTAL] = (total_error.square() + between_error.square()).sqrt()
    counts = [m.num_samples for m in draws if m.num_samples is not None]
    return replace(
        draws[0],
        mean=_over_draws(means),
        sources=dict(zip(names, within, strict=True)) | {name: between},
        covariances=_covariances(draws, means, name),
        mean_error=_error(means),
        errors=errors,
        explained=None,
        expected=_expected(draws),
        rows_share_draws=True,
        num_samples=sum(counts) or None,
    )


def _expected(draws: Sequence[Moments]) -> Tensor | None:
    found = [m.expected for m in draws if m.expected is not None]
    return torch.stack(found).mean(0) if found else None


def _stacked(moments: Moments) -> Tensor:
    """Variance by source (sources, B, C)."""
    return torch.stack([torch.zeros_like(moments.mean), *moments.sources.values()])[1:]


def _over_draws(values: Tensor) -> Tensor:
    return values.mean(0)


def _corrected(
    between: Tensor, means: Tensor, errors: list[Tensor | None]
) -> tuple[Tensor, Tensor]:
    """Unbiased variance of the means less what their errors bring into it; and its own error.

    The error (B, C) is aware of the kurtosis of the means.
    """
    S = len(means)
    if S == 1:
        return torch.zeros_like(between), torch.zeros_like(between)
    squares = (means - means.mean(0)).square() * S / (S - 1)
    noise = [e.square() for e in errors if e is not None]
    brought = torch.stack(noise).mean(0) if noise else torch.zeros_like(between)
    return (between * S / (S - 1) - brought).clamp_min(0), _error(squares)


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
