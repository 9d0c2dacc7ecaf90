"""The pair (u, e) of a sample site: how unsure its distribution was, and how wrong."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from pyro.poutine import Trace
from torch import Tensor

OBSERVED = "_observed"  # what Pyro appends to the name of a site with `obs_mask`
PARTICLES = "num_particles_vectorized"  # the plate in which Pyro's ELBO runs its particles


def observed_sites(trace: Trace) -> dict[str, str]:
    """Observed sites with a pair, by the name that their author gave them.

    Returns
    -------
    dict
        Name without Pyro's ``_observed`` to name in the trace, in the order of the trace.
    """
    nodes: dict[str, Any] = trace.nodes
    return {
        name.removesuffix(OBSERVED): name
        for name, site in nodes.items()
        if site["type"] == "sample"
        and site["is_observed"]
        and not site["infer"].get("_deterministic", False)
        and ("uncertainty" in site["infer"] or _has_pair(site["fn"]))
    }


def uncertainty_error_pair(
    trace: Trace, name: str, detach_error: bool = True
) -> tuple[Float[Tensor, "P B"], Float[Tensor, "P B"], Bool[Tensor, "P B"]]:
    """Uncertainty and error of an observed site, row by row.

    u is the variance of the site's distribution and e the squared error of its value, both
    averaged over the event and over every plate but the outermost, whose rows are what is
    correlated. Masked entries do not count. Two refinements, both through Pyro's ``infer``:
    ``infer={"uncertainty": u}`` replaces u by a tensor of batch shape (a head with an uncertainty
    output of its own), and a handler that changes how a site is scored leaves the distribution
    that the pair comes from in ``infer["pair_from"]``. For classes and labels, e is the Brier
    score and u by default its expectation.

    Parameters
    ----------
    trace : Trace
        Of the model.
    name : str
        As in `observed_sites`.
    detach_error : bool
        Keep gradients out of e.

    Returns
    -------
    u, e : Tensor, shape ``(P, B)``
        P = 1, or the number of vectorised particles.
    mask : bool Tensor, shape ``(P, B)``
        Rows in which something was observed.
    """
    site: Any = trace.nodes[observed_sites(trace)[name]]
    fn = site["infer"].get("pair_from", site["fn"])
    u, e = _variance_and_error(fn, site["value"])  # batch_shape
    u = site["infer"].get("uncertainty", u).expand(e.shape)
    mask = torch.ones_like(e, dtype=torch.bool)
    if site["mask"] is not None:
        mask = mask & site["mask"]
    u, rows = _by_row(u, mask, site)
    e, _ = _by_row(e, mask, site)
    return u, e.detach() if detach_error else e, rows


def scored_numbers(trace: Trace):
    """N of equation 6: observed numbers, times the scale of their plates; at least 1."""
    total: Tensor | float = 0.0
    for site in trace.nodes.values():
        if site["type"] == "sample" and site["is_observed"] and not _is_subsample(site):
            fn: Any = site["fn"]
            mask: Any = site["mask"]
            rows = torch.ones(fn.batch_shape) if mask is None else mask.expand(fn.batch_shape)
            total = total + (site["scale"] * rows).sum() * fn.event_shape.numel()
    return max(total, 1.0) if isinstance(total, float) else total.clamp(min=1.0)


def _variance_and_error(fn, value: Tensor) -> tuple[Tensor, Tensor]:
    """Variance and squared error per event, averaged over its entries: shape ``batch_shape``."""
    base = _unwrapped(fn)
    if hasattr(base, "probs") and base.has_enumerate_support and not base.event_shape:
        u, e = _brier(base, value)
    else:
        u, e = fn.variance, (value - fn.mean).square()
    return _event_mean(u, fn), _event_mean(e, fn)


def _brier(fn, value: Tensor) -> tuple[Tensor, Tensor]:
    """Expected Brier score under the distribution's own probabilities, and the actual one."""
    if fn.probs.shape == fn.batch_shape:  # Bernoulli
        return fn.variance, (value - fn.probs).square()
    truth = torch.nn.functional.one_hot(value.long(), fn.probs.shape[-1]).to(fn.probs)
    return 1 - fn.probs.square().sum(-1), (truth - fn.probs).square().sum(-1)


def _event_mean(x: Tensor, fn) -> Tensor:
    return x.flatten(len(fn.batch_shape)).mean(-1) if x.ndim > len(fn.batch_shape) else x


def _by_row(x: Tensor, mask: Tensor, site) -> tuple[Tensor, Tensor]:
    """Average over all plates but the particles' and the outermost: (P, B); which rows count."""
    frames = sorted(site["cond_indep_stack"], key=lambda frame: frame.dim)
    particles = [f for f in frames if f.name == PARTICLES]
    rows = next((f.dim for f in frames if f.name != PARTICLES and f.vectorized), -1)
    if x.ndim == 0:
        x, mask = x.reshape(1), mask.reshape(1)
    x = torch.where(mask, x, torch.zeros_like(x))
    lead = x.ndim + rows  # batch dimensions to the left of the rows: the particles, and ones
    weight = mask.to(x)
    if not particles:
        x, weight = x.unsqueeze(0), weight.unsqueeze(0)
        lead += 1
    P, B = x.shape[0], x.shape[lead]
    x, weight = x.reshape(P, B, -1).sum(-1), weight.reshape(P, B, -1).sum(-1)
    return x / weight.clamp(min=1), weight > 0


def _unwrapped(fn):
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return fn


def _has_pair(fn) -> bool:
    try:
        return isinstance(fn.variance, Tensor) or hasattr(_unwrapped(fn), "probs")
    except NotImplementedError:
        return hasattr(_unwrapped(fn), "probs")


def _is_subsample(site) -> bool:
    return type(site["fn"]).__name__ == "_Subsample" or site["infer"].get("_deterministic", False)
