"""The pair (u, e) of a sample site: how unsure its distribution was, and how wrong."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from pyro.poutine import Trace
from torch import Tensor

OBSERVED = "_observed"  # what Pyro appends to the name of a site with `obs_mask`
PARTICLES = "num_particles_vectorized"  # the plate in which Pyro's ELBO runs its particles
CHOICES = {
    "uncertainty": ("variance", "sd"),
    "error": ("squared", "absolute"),
    "per": ("row", "entry", "dimension"),
}


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
    trace: Trace,
    name: str,
    detach_error: bool = True,
    *,
    uncertainty: str = "variance",
    error: str = "squared",
    per: str = "row",
) -> tuple[Float[Tensor, "G n"], Float[Tensor, "G n"], Bool[Tensor, "G n"]]:
    """Uncertainty and error of an observed site: G groups of n pairs each.

    By default u is the variance of the site's distribution and e the squared error of its value,
    both averaged over the event and over every plate but the outermost, whose rows are what is
    correlated. Masked entries do not count. Two refinements, both through Pyro's ``infer``:
    ``infer={"uncertainty": u}`` replaces the variance by a tensor of batch shape (a head with an
    uncertainty output of its own), and a handler that changes how a site is scored leaves the
    distribution that the pair comes from in ``infer["pair_from"]``. For classes and labels, the
    squared error is the Brier score and the variance by default its expectation.

    Parameters
    ----------
    trace : Trace
        Of the model.
    name : str
        As in `observed_sites`.
    detach_error : bool
        Keep gradients out of e.
    uncertainty : {"variance", "sd"}
        sd is the square root of the variance, entry by entry.
    error : {"squared", "absolute"}
        absolute is the square root of the squared error, entry by entry.
    per : {"row", "entry", "dimension"}
        A pair for every row, averaged over its entries, n = B; a pair for every entry, all in one
        group, n = B K; or a group for every one of a row's K entries, n = B.

    Returns
    -------
    u, e : Tensor, shape ``(G, n)``
        G = 1, times the number of vectorised particles, times K for ``per="dimension"``.
    mask : bool Tensor, shape ``(G, n)``
        Pairs in which something was observed.
    """
    site: Any = trace.nodes[observed_sites(trace)[name]]
    fn = site["infer"].get("pair_from", site["fn"])
    u, e = _variance_and_error(fn, site["value"])  # batch_shape + entries of the event, if any
    if "uncertainty" in site["infer"]:
        own = site["infer"]["uncertainty"]  # batch_shape: the same for every entry
        u = own.reshape(own.shape + (1,) * (e.ndim - len(fn.batch_shape))).expand(e.shape)
    u = _root(u) if uncertainty == "sd" else u
    e = _root(e) if error == "absolute" else e
    mask = torch.ones(e.shape[: len(fn.batch_shape)], dtype=torch.bool, device=e.device)
    if site["mask"] is not None:
        mask = mask & site["mask"]
    arrange = _averaged if per == "row" else _grouped
    u, counts = arrange(u, mask, site, per)
    e, _ = arrange(e, mask, site, per)
    return u, e.detach() if detach_error else e, counts


def scored_numbers(trace: Trace) -> float:
    """N of equation 6: observed numbers, times the scale of their plates."""
    total = 0.0  # in double precision, whatever the model's
    for site in trace.nodes.values():
        if site["type"] == "sample" and site["is_observed"] and not _is_subsample(site):
            fn: Any = site["fn"]
            mask: Any = site["mask"]
            rows = torch.ones(fn.batch_shape) if mask is None else mask.expand(fn.batch_shape)
            total += float((site["scale"] * rows).sum()) * fn.event_shape.numel()
    return total


def _variance_and_error(fn, value: Tensor) -> tuple[Tensor, Tensor]:
    """Variance and squared error of every entry: ``batch_shape``, then what the event has."""
    base = _unwrapped(fn)
    if hasattr(base, "probs") and base.has_enumerate_support and not base.event_shape:
        return _brier(base, value)
    return fn.variance, (value - fn.mean).square()


def _brier(fn, value: Tensor) -> tuple[Tensor, Tensor]:
    """Expected Brier score under the distribution's own probabilities, and the actual one."""
    if fn.probs.shape == fn.batch_shape:  # Bernoulli
        return fn.variance, (value - fn.probs).square()
    truth = torch.nn.functional.one_hot(value.long(), fn.probs.shape[-1]).to(fn.probs)
    return 1 - fn.probs.square().sum(-1), (truth - fn.probs).square().sum(-1)


def _root(x: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0, where the true one is infinite."""
    return x.clamp(min=torch.finfo(x.dtype).tiny).sqrt()


def _averaged(x: Tensor, mask: Tensor, site, per: str) -> tuple[Tensor, Tensor]:
    """One number per row, over the event and all inner plates: (P, B); which rows count."""
    if x.ndim > mask.ndim:
        x = x.flatten(mask.ndim).mean(-1)
    x, weight = _rows_first(x, mask, site)  # (P, B, K)
    x, weight = x.sum(-1), weight.to(x).sum(-1)
    return x / weight.clamp(min=1), weight > 0


def _grouped(x: Tensor, mask: Tensor, site, per: str) -> tuple[Tensor, Tensor]:
    """All entries in one group, or a group for each entry of a row: (G, n); which count."""
    x = x.flatten(mask.ndim) if x.ndim > mask.ndim else x.unsqueeze(-1)
    pair = _rows_first(x, mask.unsqueeze(-1).expand(x.shape), site, entries=1)  # (P, B, K)
    if per == "entry":
        return pair[0].flatten(1), pair[1].flatten(1)
    return pair[0].transpose(1, 2).flatten(0, 1), pair[1].transpose(1, 2).flatten(0, 1)


def _rows_first(x: Tensor, mask: Tensor, site, entries: int = 0) -> tuple[Tensor, Tensor]:
    """Particles, rows of the outermost plate, all else: (P, B, K); 0 under the mask."""
    frames = sorted(site["cond_indep_stack"], key=lambda frame: frame.dim)
    particles = [f for f in frames if f.name == PARTICLES]
    rows = next((f.dim for f in frames if f.name != PARTICLES and f.vectorized), -1)
    if x.ndim == entries:  # a site without plates is one row
        x, mask = x.unsqueeze(0), mask.unsqueeze(0)
    x = torch.where(mask, x, torch.zeros_like(x))
    lead = x.ndim - entries + rows  # dimensions left of the rows: the particles, and ones
    if not particles:
        x, mask, lead = x.unsqueeze(0), mask.unsqueeze(0), lead + 1
    P, B = x.shape[0], x.shape[lead]
    return x.reshape(P, B, -1), mask.reshape(P, B, -1)


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
