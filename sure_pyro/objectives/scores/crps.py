"""The continuous ranked probability score of a Gaussian, in closed form."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.objectives.scores.score import Score, Scored


class CRPS(Score):
    """Continuous ranked probability score, see `crps_normal`; in the units of the site.

    It is proper: its expectation is lowest where mean and variance are right. Its pull on the
    location is bounded as that of absolute error is, and on the scale bounded too, so that one
    confident error can not blow up a training; for the same reason it tells small variances apart
    less sharply than the likelihood does.
    """

    def rescored(self, fn):
        """See `Score.rescored`."""
        return Scored(fn, lambda fn, y: crps_normal(fn.loc, fn.scale, y))


def crps_normal(
    loc: Float[Tensor, "*#shape"], scale: Float[Tensor, "*#shape"], value: Float[Tensor, "*#shape"]
) -> Float[Tensor, "*_"]:
    r"""CRPS of Normal(loc, scale^2) at `value` [Gneiting2005]_.

    .. math:: \sigma \left( z (2\Phi(z) - 1) + 2\varphi(z) - \pi^{-1/2} \right),
              \qquad z = (y - \mu) / \sigma

    Parameters
    ----------
    loc, scale, value : Tensor
        Of shapes that broadcast; `scale` is a standard deviation.

    Returns
    -------
    Tensor
        Non-negative, the lower the better.

    References
    ----------
    .. [Gneiting2005] Calibrated probabilistic forecasting using ensemble model output statistics
       and minimum CRPS estimation. Monthly Weather Review 133, 1098-1118.
    """
    z = (value - loc) / scale
    density = (-0.5 * z.square()).exp() / math.sqrt(2 * math.pi)
    two_sided = torch.erf(z / math.sqrt(2))  # 2 Phi(z) - 1, without its cancellation near 0
    return scale * (z * two_sided + 2 * density - 1 / math.sqrt(math.pi))
