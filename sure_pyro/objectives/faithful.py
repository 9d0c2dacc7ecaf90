"""The faithful split: the location learns from the squared error, the scale from the score."""

from collections.abc import Callable

import pyro.distributions as dist
from pyro.poutine.messenger import Messenger
from torch import Tensor

from sure_pyro.objectives.scores.evidential import Evidential
from sure_pyro.objectives.scores.gaussian import Unchanged
from sure_pyro.objectives.scores.score import Score, Scored


class Faithful(Score):
    r"""Effect handler that keeps the scale out of the location's gradient, and the other way round.

    .. math:: \log p(y) \to -\tfrac12 (y - \mu)^2 + \log s(y \mid \lfloor\mu\rfloor, \sigma)

    where the bracket passes no gradient and s is the score of another handler, or the site's own
    likelihood. The likelihood gives the location a gradient :math:`(y - \mu) / \sigma^2`, which an
    entry that is believed to be noisy hardly feels; here every entry feels its squared error, as
    in a model without a variance [Stirn2023]_. In one network the two still share what lies below;
    in networks of their own (`sure_pyro.models.SeparateScale`) they share nothing.

    Parameters
    ----------
    score : callable that returns a Messenger
        How the site is scored at the detached location: the class of a score, such as `CRPS`.

    Raises
    ------
    ValueError
        For `Evidential`, whose location is part of its evidence.

    References
    ----------
    .. [Stirn2023] Faithful heteroscedastic regression with neural networks. arXiv:2212.09184.
    """

    def __init__(self, score: Callable[[], Messenger] = Unchanged):
        super().__init__()
        self.score = score()
        if isinstance(self.score, Evidential):
            raise ValueError("'evidential' has no faithful form: leave out 'faithful:'.")
        self.sees_variance = getattr(self.score, "sees_variance", True)

    def rescored(self, fn):
        """See `Score.rescored`."""
        detached = dist.Normal(fn.loc.detach(), fn.scale, validate_args=False)
        inside = self.score.rescored(detached) if isinstance(self.score, Score) else detached

        def loss(fn: dist.Normal, value: Tensor) -> Tensor:
            return 0.5 * (value - fn.loc).square() - inside.log_prob(value)

        return Scored(fn, loss)
