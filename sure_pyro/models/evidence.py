"""Evidential reconstruction: four numbers per entry, a normal-inverse-gamma [Amini2020]_.

The network says not only where a latent is and how far it scatters, but as from how many
observations it knows both. Location and scale are those of the predictive distribution, so that
everything downstream (propagation, pairs, recalibration) reads them as it reads any `LocScale`.

References
----------
.. [Amini2020] Deep evidential regression. NeurIPS. arXiv:1910.02600.
"""

import pyro.distributions as dist
import torch
import torch.nn.functional as F
from jaxtyping import Float
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from sure_pyro.models.reconstructor import LOG_SCALE_RANGE, SCALE_FLOOR, LocScale
from sure_pyro.precision import at_least_single

EVIDENCE_FLOOR = 1e-2
"""Smallest nu and alpha - 1: without it a variance would not exist."""


class NormalInverseGamma(TorchDistribution):
    r"""Predictive distribution of an entry whose mean and variance are themselves unsure.

    .. math:: y \sim \mathcal N(\mu, s^2), \qquad \mu \sim \mathcal N(\gamma, s^2 / \nu), \qquad
              s^2 \sim \Gamma^{-1}(\alpha, \beta)

    With mu and s^2 integrated out, y is a Student-t with 2 alpha degrees of freedom, location gamma
    and scale :math:`\sqrt{\beta (1 + \nu) / (\nu \alpha)}`. That is what `log_prob` and draws are.

    Parameters
    ----------
    loc : Tensor
        gamma.
    nu : Tensor
        Positive: as many observations as the mean rests on.
    alpha : Tensor
        Greater than 1: half as many as the variance rests on.
    beta : Tensor
        Positive, in squared units of `loc`.
    """

    arg_constraints = {  # noqa: RUF012  (as torch declares it)
        "loc": constraints.real,
        "nu": constraints.positive,
        "alpha": constraints.greater_than(1.0),
        "beta": constraints.positive,
    }
    support = constraints.real
    has_rsample = True

    def __init__(self, loc, nu, alpha, beta, validate_args=None):
        self.loc, self.nu, self.alpha, self.beta = torch.broadcast_tensors(loc, nu, alpha, beta)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def marginal(self) -> dist.StudentT:
        """The Student-t distribution of y."""
        scale = (self.beta * (1 + self.nu) / (self.nu * self.alpha)).sqrt()
        return dist.StudentT(2 * self.alpha, self.loc, scale, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Of the marginal."""
        return self.marginal.log_prob(value)

    def rsample(self, sample_shape=()) -> Tensor:
        """Draws of the marginal."""
        return self.marginal.rsample(torch.Size(sample_shape))

    def expand(self, batch_shape, _instance=None) -> "NormalInverseGamma":
        """See `torch.distributions.Distribution.expand`."""
        loc, nu, alpha, beta = (
            x.expand(batch_shape) for x in (self.loc, self.nu, self.alpha, self.beta)
        )
        return NormalInverseGamma(loc, nu, alpha, beta, validate_args=False)

    @property
    def mean(self) -> Tensor:
        """Gamma."""
        return self.loc

    @property
    def aleatoric(self) -> Tensor:
        """``E[s^2] = beta / (alpha - 1)``: the scatter that more data would not remove."""
        return self.beta / (self.alpha - 1)

    @property
    def epistemic(self) -> Tensor:
        """``Var[mu] = beta / (nu (alpha - 1))``: how unsure the mean is."""
        return self.aleatoric / self.nu

    @property
    def variance(self) -> Tensor:
        """Of the marginal: aleatoric plus epistemic."""
        return self.aleatoric + self.epistemic

    @property
    def scale(self) -> Tensor:
        """Standard deviation of the marginal."""
        return self.variance.sqrt()

    @property
    def evidence(self) -> Tensor:
        """``2 nu + alpha``: what the objective ``evidential`` puts a price on."""
        return 2 * self.nu + self.alpha


class EvidentialLocScale(LocScale):
    """Location and scale, and as from how many observations they are known.

    Unpacks as any `LocScale`; `distribution` is a `NormalInverseGamma` of that mean and that
    standard deviation.

    Parameters
    ----------
    loc, scale, nu, alpha : Tensor, shape ``(B, L, D)``
    """

    nu: Tensor
    alpha: Tensor

    def __new__(cls, loc: Tensor, scale: Tensor, nu: Tensor, alpha: Tensor):
        """Two numbers in the tuple, two beside it."""
        self = super().__new__(cls, loc, scale)
        self.nu, self.alpha = nu, alpha
        return self

    def distribution(self):
        """See `LocScale.distribution`."""
        beta = self.scale.square() * (self.alpha - 1) * self.nu / (1 + self.nu)
        fn = NormalInverseGamma(self.loc, self.nu, self.alpha, beta, validate_args=False)
        return fn.to_event(1)


def evidential_loc_scale(output: Float[Tensor, "*batch four_D"]) -> EvidentialLocScale:
    """Split a network's output in four quarters: gamma, and what gives beta, nu and alpha."""
    loc, log_root_beta, raw_nu, raw_alpha = at_least_single(output).chunk(4, -1)
    beta = (SCALE_FLOOR + log_root_beta.clamp(*LOG_SCALE_RANGE).exp()).square()
    nu = EVIDENCE_FLOOR + F.softplus(raw_nu)
    alpha = 1 + EVIDENCE_FLOOR + F.softplus(raw_alpha)
    scale = (beta * (1 + nu) / (nu * (alpha - 1))).sqrt()
    return EvidentialLocScale(loc, scale, nu, alpha)
