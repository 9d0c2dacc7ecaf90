r"""A Gaussian of many coordinates: what is hidden given what is visible, in closed form.

.. math::
    z_h \mid z_v \sim \mathcal N\bigl(\mu_h + \Sigma_{hv}\Sigma_{vv}^{-1}(z_v - \mu_v),\;
    \Sigma_{hh} - \Sigma_{hv}\Sigma_{vv}^{-1}\Sigma_{vh}\bigr)

The covariance of few rows is shrunk towards a multiple of the identity by the amount that
minimises the expected squared error [LedoitWolf2004]_. Rows with gaps enter by expectation and
maximisation [Dempster1977]_: what a row lacks is replaced by its conditional mean, and its
conditional covariance is added to the sums.

References
----------
.. [LedoitWolf2004] A well-conditioned estimator for large-dimensional covariance matrices. Journal
   of Multivariate Analysis 88(2), 365-411.
.. [Dempster1977] Maximum likelihood from incomplete data via the EM algorithm. JRSS B 39(1), 1-38.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

EM_STEPS = 20


class Conditional(NamedTuple):
    """What V visible coordinates say of H hidden ones.

    Attributes
    ----------
    visible, hidden : Tensor, shapes ``(V,)`` and ``(H,)``
        Their numbers.
    gain : Tensor, shape ``(V, H)``
        By how much the mean of a hidden one moves with a visible one.
    covariance : Tensor, shape ``(H, H)``
    """

    visible: Tensor
    hidden: Tensor
    gain: Tensor
    covariance: Tensor


def conditional(covariance: Float[Tensor, "E E"], visible: Bool[Tensor, " E"]) -> Conditional:
    """Gain and covariance of the coordinates that are not visible, given those that are."""
    v, h = visible.nonzero().squeeze(1), (~visible).nonzero().squeeze(1)
    across = covariance[v[:, None], h]
    gain = torch.linalg.solve(covariance[v[:, None], v], across)
    return Conditional(v, h, gain, covariance[h[:, None], h] - across.mT @ gain)


def by_pattern(visible: Bool[Tensor, "n E"]) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows that lack the same coordinates, with their pattern; complete rows are left out."""
    patterns, which = torch.unique(visible, dim=0, return_inverse=True)
    for k, pattern in enumerate(patterns):
        if not pattern.all():
            yield (which == k).nonzero().squeeze(1), pattern


def joint_moments(
    x: Float[Tensor, "n E"], visible: Bool[Tensor, "n E"], steps: int = EM_STEPS
) -> tuple[Float[Tensor, " E"], Float[Tensor, "E E"]]:
    """Mean and shrunk covariance of rows with gaps, by EM; of complete rows in one step.

    Parameters
    ----------
    x : Tensor, shape ``(n, E)``
        Zero where a coordinate is not visible.
    visible : bool Tensor, shape ``(n, E)``
    steps : int
        Of EM.

    Returns
    -------
    mean, covariance : Tensor
        A coordinate that no row has is of mean 0 and variance 1.
    """
    count = visible.sum(0)
    mean = x.sum(0) / count.clamp_min(1)
    variance = ((x - mean) * visible).square().sum(0) / count.clamp_min(1)
    covariance = torch.where(count > 0, variance, torch.ones_like(variance)).diag()
    if visible.all():
        return mean, shrunk(x - mean, torch.zeros_like(covariance))
    for _ in range(steps):
        filled, hidden = _expected(x, visible, mean, covariance)
        mean = filled.mean(0)
        covariance = shrunk(filled - mean, hidden / len(x))
    return mean, covariance


def _expected(
    x: Tensor, visible: Tensor, mean: Tensor, covariance: Tensor
) -> tuple[Float[Tensor, "n E"], Float[Tensor, "E E"]]:
    """Rows with their gaps at the conditional mean, and the sum of the conditional covariances."""
    filled, hidden = x.clone(), torch.zeros_like(covariance)
    for rows, pattern in by_pattern(visible):
        v, h, gain, S = conditional(covariance, pattern)
        filled[rows[:, None], h] = mean[h] + (x[rows[:, None], v] - mean[v]) @ gain
        hidden[h[:, None], h] += len(rows) * S
    return filled, hidden


def shrunk(centred: Float[Tensor, "n E"], hidden: Float[Tensor, "E E"]) -> Float[Tensor, "E E"]:
    """Covariance of centred rows and of what they hide, shrunk by the rule of Ledoit and Wolf."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    amount = ledoit_wolf_shrinkage(centred.cpu().numpy(), assume_centered=True)
    covariance = centred.mT @ centred / len(centred) + hidden
    level = covariance.diagonal().mean().expand(len(covariance))
    return (1 - amount) * covariance + amount * level.diag()
