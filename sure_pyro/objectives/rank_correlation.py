"""Rank correlations of uncertainty and error, with ranks that have a gradient.

A rank counts how many of the others are smaller, a step at every pair. The relaxation replaces the
step by a sigmoid of the pair's difference [Qin2010]_: ``sign(x_i - x_j)`` becomes

    s_ij = tanh((x_i - x_j) / (T g)),    g = mean |x_i - x_j| over the pairs that differ

with a temperature T. Dividing by g (Gini's mean difference) makes it free of scale and offset. As
T goes to 0 the values are those of scipy, ties included (average ranks; tau-b). As T grows,
s_ij becomes linear in x, and both statistics become Pearson's.

Time and memory grow as the square of the number of entries.

References
----------
.. [Qin2010] A general approximation framework for direct optimization of information retrieval
   measures. Information Retrieval 13, 375-397.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sure_pyro.equations import centred
from sure_pyro.objectives.correlation import pearson, prepared

TEMPERATURE = 0.1
"""Pairs closer than about a tenth of the mean difference are ranked softly."""


def spearman(
    u: Float[Tensor, "..."],
    e: Float[Tensor, "..."],
    mask: Bool[Tensor, "..."] | None = None,
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    r"""Spearman correlation with soft ranks: Pearson's of :math:`r_i = \sum_j s_{ij}`.

    Parameters
    ----------
    u, e, mask
        As in `pearson`.
    temperature : float
        T in the module's docstring; 0 gives the ranks themselves, which have no gradient.

    Returns
    -------
    Tensor, scalar in [-1, 1]
        Degenerate cases as in `pearson`.

    Raises
    ------
    ValueError
        If the shapes differ, or `temperature` is negative.
    """
    u, e, mask, n = prepared(u, e, mask)
    ranks_u, ranks_e = (soft_signs(x, mask, n, temperature).sum(-1) for x in (u, e))  # (n,)
    return pearson(ranks_u, ranks_e, mask.flatten())


def kendall(
    u: Float[Tensor, "..."],
    e: Float[Tensor, "..."],
    mask: Bool[Tensor, "..."] | None = None,
    temperature: float = TEMPERATURE,
) -> Float[Tensor, ""]:
    r"""Kendall's tau-b with soft signs: how far the pairs are ordered alike.

    .. math:: \tau = \frac{\sum_{ij} s_{ij}(u)\, s_{ij}(e)}
              {\sqrt{\sum_{ij} s_{ij}(u)^2 \, \sum_{ij} s_{ij}(e)^2}}

    Parameters
    ----------
    u, e, mask
        As in `pearson`.
    temperature : float
        As in `spearman`.

    Returns
    -------
    Tensor, scalar in [-1, 1]
        Degenerate cases as in `pearson`.

    Raises
    ------
    ValueError
        If the shapes differ, or `temperature` is negative.
    """
    u, e, mask, n = prepared(u, e, mask)
    su, se = (soft_signs(x, mask, n, temperature) for x in (u, e))
    norm_u, norm_e = su.square().sum(), se.square().sum()
    defined = (norm_u != 0) & (norm_e != 0)
    one = torch.ones_like(norm_u)
    norm = torch.where(defined, norm_u, one).sqrt() * torch.where(defined, norm_e, one).sqrt()
    return torch.where(defined, (su * se).sum() / norm, torch.zeros_like(norm))


def soft_signs(x: Tensor, mask: Tensor, n: Tensor, temperature: float) -> Float[Tensor, "n n"]:
    """``s_ij`` of the module's docstring; 0 where an entry does not count, or all are equal."""
    if not temperature >= 0:
        raise ValueError(f"`temperature` must be at least 0; got {temperature}.")
    x, mask = x.flatten(), mask.flatten()
    deviation, spread = centred(x, mask, n)
    x = torch.where(spread != 0, deviation, torch.zeros_like(deviation))
    counts = mask.unsqueeze(-1) & mask
    difference = torch.where(counts, x.unsqueeze(-1) - x, torch.zeros(()).to(x))  # (n, n)
    if temperature == 0:
        return difference.sign()
    g = difference.abs().sum() / (difference != 0).sum().clamp(min=1)
    return (difference / (temperature * torch.where(g > 0, g, torch.ones_like(g)))).tanh()
