"""Variance and squared error of every number of a Pyro distribution, and which numbers count.

The two come from the distribution's own ``mean`` and ``variance``: for any distribution that has
both, the squared error has the variance as its expectation. Classes have no mean; they are paired
by the Brier score. What has neither gets no pair, and `NoPairError` says why.
"""

from typing import Any, NamedTuple

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.distributions import Independent

WRAPPERS = (Independent, dist.MaskedDistribution, dist.ExpandedDistribution)
ON_CIRCLES = (torch.distributions.VonMises, dist.SineBivariateVonMises)
PARTS = ("component_distribution", "component0", "component1")  # of Pyro's mixtures
NAN_IS_UNOBSERVED = (dist.NanMaskedNormal, dist.NanMaskedMultivariateNormal)


class NoPairError(ValueError):
    """A site whose distribution gives no uncertainty and error; the message says why."""


class Pairs(NamedTuple):
    """Variance, squared error and whether they count: plates, then the entries of the event."""

    variance: Tensor
    error: Tensor
    counts: Tensor


def pairs_of_entries(fn: Any, value: Tensor, mask: Tensor | bool | None, own: Any = None) -> Pairs:
    """Pairs of every number of an observed site.

    Parameters
    ----------
    fn : TorchDistribution
        Under any number of ``to_event``, ``mask`` and ``expand``.
    value : Tensor
        What was observed; without effect where it does not count.
    mask : bool Tensor, bool or None
        The site's: plates, without the entries of the event.
    own : Tensor, optional
        An uncertainty in place of the variance, of the shape of the plates.

    Raises
    ------
    NoPairError
        If `fn` has no mean, or no variance and there is no `own`.
    """
    shape = entries_shape(fn, value)
    counts = observed_entries(fn, value, mask).expand(shape)
    base = unwrapped(fn)
    if isinstance(base, torch.distributions.Categorical):
        variance, error = _brier(base, torch.where(counts, value, torch.zeros_like(value)))
    else:
        _refuse_circles(base)
        error = _squared_error(_at_least_single(_moment(fn, "mean")).expand(shape), value, counts)
        variance = _moment(fn, "variance") if own is None else own
    if own is not None:
        variance = own.reshape(own.shape + (1,) * len(fn.event_shape))
    return Pairs(_at_least_single(variance).expand(shape), error.expand(shape), counts)


def entries_shape(fn: Any, value: Tensor) -> torch.Size:
    """Shape of the plates, then of the event."""
    return torch.broadcast_shapes(fn.batch_shape + fn.event_shape, value.shape)


def observed_entries(fn: Any, value: Tensor, mask: Tensor | bool | None) -> Tensor:
    """Which numbers count: bool, of a shape that broadcasts to `entries_shape`.

    Takes together the site's mask, those of `fn` itself, ``fn.mask(...)``, at every level of
    ``to_event``, and the NaN of distributions that take NaN for "not observed".
    """
    counts = torch.ones((1,) * (len(fn.batch_shape) + len(fn.event_shape)), dtype=torch.bool)
    counts = counts.to(value.device)
    if mask is not None:
        counts = counts & _with_event(mask, fn)
    while isinstance(fn, WRAPPERS):
        if isinstance(fn, dist.MaskedDistribution):
            counts = counts & _with_event(fn._mask, fn)
        fn = fn.base_dist
    return counts & ~value.isnan() if isinstance(fn, NAN_IS_UNOBSERVED) else counts


def unwrapped(fn: Any) -> Any:
    """What ``to_event``, ``mask`` and ``expand`` are wrapped around; nothing else is opened."""
    while isinstance(fn, WRAPPERS):
        fn = fn.base_dist
    return fn


def _with_event(mask: Tensor | bool, fn: Any) -> Tensor | bool:
    """A mask over plates as one over plates and entries of the event."""
    if isinstance(mask, bool):
        return mask
    return mask.reshape(mask.shape + (1,) * len(fn.event_shape))


def _squared_error(mean: Tensor, value: Tensor, counts: Tensor) -> Tensor:
    """What does not count is replaced before it is squared, so that gradients do not see it."""
    value = value.to(torch.promote_types(value.dtype, mean.dtype))  # bool has no difference
    return (torch.where(counts, value, mean.detach()) - mean).square()


def _brier(fn: torch.distributions.Categorical, value: Tensor) -> tuple[Tensor, Tensor]:
    """Expected Brier score under the distribution's own probabilities, and the actual one."""
    p = _at_least_single(fn.probs)
    truth = torch.nn.functional.one_hot(value.long(), p.shape[-1]).to(p)
    return 1 - p.square().sum(-1), (truth - p).square().sum(-1)


def _moment(fn: Any, name: str) -> Tensor:
    try:
        return getattr(fn, name)
    except (NotImplementedError, AttributeError, ValueError) as error:
        why = f" ({error})" if str(error) else ""
        raise NoPairError(
            f"{type(unwrapped(fn)).__name__} has no {name} in closed form{why}"
        ) from error


def _refuse_circles(fn: Any) -> None:
    if isinstance(fn, ON_CIRCLES):
        raise NoPairError(
            f"{type(fn).__name__} lives on a circle: its variance is circular, and no expectation "
            "of a squared difference"
        )
    for part in PARTS:
        if hasattr(fn, part):
            _refuse_circles(unwrapped(getattr(fn, part)))


def _at_least_single(x: Tensor) -> Tensor:
    """Squares over- and underflow early in half precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
