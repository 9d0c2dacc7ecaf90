"""The pair (u, e) of a sample site: how unsure its distribution was, and how wrong."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from pyro.poutine import Trace
from torch import Tensor

from sure_pyro.objectives.moments import (
    NoPairError,
    entries_shape,
    observed_entries,
    pairs_of_entries,
    unwrapped,
)

OBSERVED, UNOBSERVED = "_observed", "_unobserved"  # Pyro appends them to a site with `obs_mask`
PARTICLES = "num_particles_vectorized"  # the plate in which Pyro's ELBO runs its particles
CHOICES = {
    "uncertainty": ("variance", "sd"),
    "error": ("squared", "absolute"),
    "per": ("row", "entry", "dimension"),
}


def observed_sites(trace: Trace) -> dict[str, str]:
    """Sites at which data were observed, by the name that their author gave them.

    Returns
    -------
    dict
        Name to name in the trace, in the order of the trace. The two differ for a site with
        `obs_mask`, of which Pyro makes three: what is observed and what is not, and a
        deterministic one that puts them together.
    """
    nodes: dict[str, Any] = trace.nodes
    return {_own_name(name, nodes): name for name, site in nodes.items() if _has_data(site)}


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
    correlated. So it works for every distribution with a mean and a variance: the expectation of e
    is u. Masked entries do not count, whether the mask is the site's or the distribution's. Two
    refinements, both through Pyro's ``infer``: ``infer={"uncertainty": u}`` replaces the variance
    by a tensor of batch shape (a head with an uncertainty output of its own), and a handler that
    changes how a site is scored leaves the distribution that the pair comes from in
    ``infer["pair_from"]``. For classes and labels, the squared error is the Brier score and the
    variance by default its expectation.

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
        G = 1, times the number of vectorised particles, times K for ``per="dimension"``. At least
        float32.
    mask : bool Tensor, shape ``(G, n)``
        Pairs in which something was observed.

    Raises
    ------
    ValueError
        If the trace has no such observed site; if its distribution has no mean and variance in
        closed form, as `Cauchy` and `RelaxedBernoulli`, or they are infinite or undefined in an
        entry that counts, as those of `StudentT` with two degrees of freedom; or if it lives on a
        circle, as `VonMises`.
    """
    sites = observed_sites(trace)
    if name not in sites:
        raise ValueError(f"`name` must be an observed site, of {list(sites)}; got {name!r}.")
    site: Any = trace.nodes[sites[name]]
    try:
        pair = pair_of_site(site, uncertainty=uncertainty, error=error, per=per)
        refuse_infinite(site, *pair)
    except NoPairError as reason:
        raise NoPairError(f"The site {name!r} has no uncertainty and error: {reason}.") from reason
    u, e, mask = pair
    return u, e.detach() if detach_error else e, mask


def pair_of_site(
    site: Any, uncertainty: str, error: str, per: str
) -> tuple[Tensor, Tensor, Tensor]:
    """u, e and mask as `uncertainty_error_pair` gives them, infinite or not."""
    fn = site["infer"].get("pair_from", site["fn"])
    pairs = pairs_of_entries(fn, site["value"], site["mask"], site["infer"].get("uncertainty"))
    u = _root(pairs.variance) if uncertainty == "sd" else pairs.variance
    e = _root(pairs.error) if error == "absolute" else pairs.error
    arrange = _averaged if per == "row" else _grouped
    entries = len(fn.event_shape)
    u, mask = arrange(u, pairs.counts, site, per, entries)
    return u, arrange(e, pairs.counts, site, per, entries)[0], mask


def refuse_infinite(site: Any, u: Tensor, e: Tensor, mask: Tensor) -> None:
    """Raise `NoPairError` where a moment that counts is infinite or undefined by nature.

    A site that is scored by another rule than its distribution is let through: there, a variance
    that is not finite comes from a training that has diverged, and its score does not show it.
    """
    if "pair_from" in site["infer"]:
        return
    looked_at = e if "uncertainty" in site["infer"] else u + e
    bad = mask & ~looked_at.isfinite()
    if bad.any():
        raise NoPairError(
            f"mean or variance of {type(unwrapped(site['fn'])).__name__} is infinite or undefined "
            f"in {int(bad.sum())} of {int(mask.sum())} pairs"
        )


def scored_numbers(trace: Trace) -> float:
    """N of equation 6: observed numbers, times the scale of their plates."""
    total = 0.0  # in double precision, whatever the model's
    nodes: dict[str, Any] = trace.nodes
    for site in nodes.values():
        if _has_data(site):
            fn, scale = site["fn"], torch.as_tensor(site["scale"])
            counts = observed_entries(fn, site["value"], site["mask"])
            scale = scale.reshape(scale.shape + (1,) * len(fn.event_shape)).to(counts.device)
            weight = scale * counts  # broadcasts to every entry: each of its own stands for several
            entries = torch.broadcast_shapes(weight.shape, entries_shape(fn, site["value"])).numel()
            total += float(weight.double().sum()) * entries / max(weight.numel(), 1)
    return total


def _own_name(name: str, nodes: dict[str, Any]) -> str:
    """Name without Pyro's suffix, if it is Pyro's: the two other sites are there."""
    whole = name.removesuffix(OBSERVED)
    made_by_pyro = (
        whole != name
        and whole + UNOBSERVED in nodes
        and whole in nodes
        and nodes[whole]["infer"].get("_deterministic", False)
    )
    return whole if made_by_pyro else name


def _has_data(site: Any) -> bool:
    """Whether it is a sample site with data: no subsample, no `deterministic` and no `factor`."""
    return (
        site["type"] == "sample"
        and site["is_observed"]
        and not site["infer"].get("_deterministic", False)
        and type(site["fn"]).__name__ != "_Subsample"
        and site["fn"].event_shape.numel() > 0
    )


def _root(x: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0, where the true one is infinite."""
    return x.clamp(min=torch.finfo(x.dtype).tiny).sqrt()


def _averaged(x: Tensor, counts: Tensor, site, per: str, entries: int) -> tuple[Tensor, Tensor]:
    """One number per row, over the event and all inner plates: (P, B); which rows count."""
    x, counts = _rows_first(x, counts, site, entries)  # (P, B, K)
    weight = counts.sum(-1)
    return x.sum(-1) / weight.clamp(min=1), weight > 0


def _grouped(x: Tensor, counts: Tensor, site, per: str, entries: int) -> tuple[Tensor, Tensor]:
    """All entries in one group, or a group for each entry of a row: (G, n); which count."""
    pair = _rows_first(x, counts, site, entries)  # (P, B, K)
    if per == "entry":
        return pair[0].flatten(1), pair[1].flatten(1)
    return pair[0].transpose(1, 2).flatten(0, 1), pair[1].transpose(1, 2).flatten(0, 1)


def _rows_first(x: Tensor, mask: Tensor, site, entries: int) -> tuple[Tensor, Tensor]:
    """Particles, rows of the outermost plate, all else: (P, B, K); 0 under the mask."""
    frames = {f.name: f.dim for f in site["cond_indep_stack"] if f.vectorized}
    particles = frames.pop(PARTICLES, None)
    rows = min(frames.values(), default=-1)
    if x.ndim == entries:  # a site without plates is one row
        x, mask = x.unsqueeze(0), mask.unsqueeze(0)
    x = torch.where(mask, x, torch.zeros_like(x))
    lead = x.ndim - entries + rows  # dimensions left of the rows: the particles, and ones
    if particles is None:
        x, mask, lead = x.unsqueeze(0), mask.unsqueeze(0), lead + 1
    P, B = x.shape[0], x.shape[lead]
    return x.reshape(P, B, -1), mask.reshape(P, B, -1)
