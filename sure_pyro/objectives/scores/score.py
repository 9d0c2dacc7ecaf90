"""`Score`: the effect handler that changes how a location-scale site is scored."""

from collections.abc import Callable
from typing import Any

import pyro.distributions as dist
from pyro.distributions.torch_distribution import TorchDistribution, TorchDistributionMixin
from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import constraints


class Score(Messenger):
    """Effect handler that scores observed sites of one kind, `Normal`, by another rule.

    Subclasses say by which in `rescored`. The site's own distribution stays in
    ``infer["pair_from"]``, so that the correlation objective still reads its variance. Plates,
    masks and scales are the site's own; ``to_event`` and ``mask`` around it are kept.
    Sites that are not observed, and other distributions, are left alone.

    Attributes
    ----------
    sees_variance : bool
        Whether the score depends on the scale, so that it can choose between two of them.
    kind : type
        Distribution of the sites that are scored.
    """

    sees_variance = True
    kind: type = dist.Normal

    def rescored(self, fn: Any) -> TorchDistributionMixin:
        """Distribution of the shapes of `fn` whose ``log_prob`` is minus the score.

        Parameters
        ----------
        fn : Distribution
            Of the site and of this `kind`, without ``to_event``.
        """
        raise NotImplementedError

    def _pyro_sample(self, msg) -> None:
        if not msg["is_observed"]:
            return
        fn = self._inside(msg["fn"])
        if fn is not None:
            # A score inside another one saw the site's own distribution: its pair stays.
            msg["infer"] = {"pair_from": msg["fn"], **msg["infer"]}
            msg["fn"] = fn

    def _inside(self, fn: Any) -> TorchDistributionMixin | None:
        """Rescore what ``to_event`` and ``mask`` are wrapped around; None if it is another kind."""
        if isinstance(fn, dist.Independent):
            inner = self._inside(fn.base_dist)
            return inner and inner.to_event(fn.reinterpreted_batch_ndims)
        if isinstance(fn, dist.MaskedDistribution):
            inner = self._inside(fn.base_dist)
            return inner and inner.mask(fn._mask)
        return self.rescored(fn) if isinstance(fn, self.kind) else None


class Scored(TorchDistribution):
    """A distribution that is scored by a rule other than its density.

    Parameters
    ----------
    fn : TorchDistribution
        Moments and draws are its own.
    score : callable
        ``(fn, value)`` to the score of each entry, the lower the better.
    """

    arg_constraints: dict = {}  # noqa: RUF012  (as torch declares it)
    support = constraints.real
    has_rsample = True

    def __init__(self, fn, score: Callable[[Any, Tensor], Tensor]):
        self.fn, self.score = fn, score
        super().__init__(fn.batch_shape, fn.event_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Minus the score, entry by entry."""
        return -self.score(self.fn, value)

    def rsample(self, sample_shape=()) -> Tensor:
        """Draws of the distribution itself."""
        return self.fn.rsample(sample_shape)

    def expand(self, batch_shape, _instance=None) -> "Scored":
        """See `torch.distributions.Distribution.expand`."""
        return Scored(self.fn.expand(batch_shape), self.score)

    @property
    def mean(self) -> Tensor:
        """Of the distribution itself."""
        return self.fn.mean

    @property
    def variance(self) -> Tensor:
        """Of the distribution itself."""
        return self.fn.variance
