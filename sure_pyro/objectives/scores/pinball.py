"""The pinball loss of a Gaussian's quantiles."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.objectives.scores.score import Score, Scored

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


class Pinball(Score):
    """Twice the pinball loss of the quantiles at `levels`, on average; see `pinball_normal`.

    Only the quantiles that are asked for are trained: with levels in the tails, say 0.05 and 0.95,
    the interval between them, whatever the shape of the distribution outside. With many levels it
    is the CRPS.

    Parameters
    ----------
    levels : sequence of float, in (0, 1)
        The level 0.5 alone is absolute error, which does not see the scale.
    """

    def __init__(self, levels: Sequence[float] = LEVELS):
        super().__init__()
        if not levels or not all(0 < level < 1 for level in levels):
            raise ValueError(f"`levels` must be numbers in (0, 1); got {tuple(levels)}.")
        self.levels = tuple(levels)
        self.sees_variance = any(level != 0.5 for level in levels)

    def rescored(self, fn):
        """See `Score.rescored`."""
        return Scored(fn, lambda fn, y: pinball_normal(fn.loc, fn.scale, y, self.levels))


def pinball_normal(
    loc: Float[Tensor, "*#shape"],
    scale: Float[Tensor, "*#shape"],
    value: Float[Tensor, "*#shape"],
    levels: Sequence[float] = LEVELS,
) -> Float[Tensor, "*_"]:
    r"""Pinball loss of the quantiles of Normal(loc, scale^2) at `value` [Koenker1978]_.

    .. math:: \frac{1}{J} \sum_{j=1}^{J} 2 \max\bigl(
              \tau_j (y - q_j),\; (\tau_j - 1)(y - q_j) \bigr),
              \qquad q_j = \mu + \sigma\, \Phi^{-1}(\tau_j)

    The factor 2 makes the level 0.5 the absolute error, and many equally spaced levels the CRPS.

    Parameters
    ----------
    loc, scale, value : Tensor
        Of shapes that broadcast; `scale` is a standard deviation.
    levels : sequence of float, in (0, 1)
        The tau_j.

    Returns
    -------
    Tensor
        Non-negative, in the units of `value`.

    References
    ----------
    .. [Koenker1978] Regression quantiles. Econometrica 46(1), 33-50.
    """
    tau = torch.tensor(levels, dtype=loc.dtype, device=loc.device)
    quantile = loc.unsqueeze(-1) + scale.unsqueeze(-1) * torch.special.ndtri(tau)  # (*_, J)
    error = value.unsqueeze(-1) - quantile
    return 2 * torch.maximum(tau * error, (tau - 1) * error).mean(-1)
