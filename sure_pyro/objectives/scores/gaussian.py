"""Gaussian scores: the likelihood as it is, under a fixed scale, and beta-NLL."""

import pyro.distributions as dist
import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from sure_pyro.objectives.scores.score import Score, Scored


class Unchanged(Messenger):
    """The handler that does nothing: every site is scored by its likelihood."""

    sees_variance = True


class FixedScale(Score):
    """Score observed locations under a fixed scale: squared error.

    Every observed site with a `Normal` is scored as if its scale were `scale`, so that its
    log-likelihood is ``-squared error / (2 scale^2)`` up to a constant.

    Parameters
    ----------
    scale : float
        In the units of the site.
    """

    sees_variance = False

    def __init__(self, scale: float = 1.0):
        super().__init__()
        self.scale = scale

    def rescored(self, fn):
        """See `Score.rescored`."""
        return dist.Normal(fn.loc, torch.full_like(fn.scale, self.scale), validate_args=False)


class BetaNLL(Score):
    r"""Gaussian likelihood whose gradient is weighted by a power of the variance [Seitzer2022]_.

    .. math:: L_\beta = \lfloor \sigma^{2\beta} \rfloor
              \left( \tfrac12 \log \sigma^2 + \frac{(y - \mu)^2}{2\sigma^2} \right)

    where the bracket passes no gradient. The likelihood divides the gradient of the location by
    the variance, so that what is badly predicted at first is learnt last; beta = 1 makes that
    gradient the one of squared error, beta = 0 is the likelihood itself. Only the *gradient* is
    this one. The value is the likelihood's, because that of :math:`L_\beta` can not be compared
    between two models: the weight in it rewards whoever claims the smaller variance.

    Parameters
    ----------
    beta : float, in [0, 1]
        The authors recommend 0.5.

    References
    ----------
    .. [Seitzer2022] On the pitfalls of heteroscedastic uncertainty estimation with probabilistic
       neural networks. ICLR. arXiv:2203.09168.
    """

    def __init__(self, beta: float = 0.5):
        super().__init__()
        if not 0 <= beta <= 1:
            raise ValueError(f"`beta` must be in [0, 1]; got {beta}.")
        self.beta = beta

    def rescored(self, fn):
        """See `Score.rescored`."""
        return Scored(fn, self._nll)

    def _nll(self, fn: dist.Normal, value: Tensor) -> Tensor:
        nll = -fn.log_prob(value)
        weighted = fn.scale.detach().pow(2 * self.beta) * nll
        return weighted + (nll - weighted).detach()
