"""Deep evidential regression: the marginal likelihood, and a price on wrong evidence."""

from typing import Any

import pyro.distributions as dist
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor

from sure_pyro.objectives.scores.score import Score, Scored

WITHOUT_EVIDENCE = (
    "The objective 'evidential' needs sites with a NormalInverseGamma distribution; the site "
    "{name!r} has {kind}. For SURE, let the reconstructor give the evidence: "
    "`SURE(backbone, reconstructor='masked', reconstructor_options={{'evidential': True}})`; in "
    "a Pyro model of your own, use `sure_pyro.models.NormalInverseGamma`."
)


class Evidential(Score):
    r"""Student-t marginal of a normal-inverse-gamma, and a price on evidence [Amini2020]_.

    .. math:: L = -\log \mathrm{St}\!\left(y;\, 2\alpha, \gamma,
              \sqrt{\tfrac{\beta (1 + \nu)}{\nu \alpha}}\right)
              + \lambda\, |y - \gamma|\, (2\nu + \alpha)

    The likelihood knows nu and beta only through the scale of that t distribution. What tells them
    apart, and with them the epistemic share of the variance, is the second term together with how
    far the training went [Meinert2023]_: take the total variance at its word, the split with care.

    A site that brings an uncertainty of its own (``infer["uncertainty"]``, as the head of `SURE`
    does) keeps its likelihood.

    Parameters
    ----------
    regularizer : float
        The lambda of this formula.

    Raises
    ------
    ValueError
        At an observed `Normal` site: it has two numbers per entry where four are needed.

    References
    ----------
    .. [Amini2020] Deep evidential regression. NeurIPS. arXiv:1910.02600.
    .. [Meinert2023] The unreasonable effectiveness of deep evidential regression. AAAI.
       arXiv:2205.10060.
    """

    def __init__(self, regularizer: float = 0.01):
        super().__init__()
        if not regularizer >= 0:
            raise ValueError(f"`regularizer` must be at least 0; got {regularizer}.")
        self.regularizer = regularizer

    def _pyro_sample(self, msg) -> None:
        if "uncertainty" not in msg["infer"]:
            self._name = msg["name"]
            super()._pyro_sample(msg)

    def _inside(self, fn: Any) -> TorchDistributionMixin | None:
        # Known by its `evidence`, not by its class: this room imports no models.
        return self.rescored(fn) if hasattr(fn, "evidence") else super()._inside(fn)

    def rescored(self, fn):
        """See `Score.rescored`; `fn` has ``evidence`` (2 nu + alpha)."""
        if isinstance(fn, dist.Normal):
            raise ValueError(WITHOUT_EVIDENCE.format(name=self._name, kind=type(fn).__name__))

        return Scored(fn, self._loss)

    def _loss(self, fn: Any, value: Tensor) -> Tensor:
        return self.regularizer * (value - fn.loc).abs() * fn.evidence - fn.log_prob(value)
