"""The groups of an ArviZ object, from plain arrays.

========================  ======================================================================
group                     content
========================  ======================================================================
``posterior``             ``mu`` (chain, draw, row, output) in units of the target, or ``logit``
                          (chain, draw, row, class); ``z_<modality>`` (chain, draw,
                          z_<modality>_row, z_<modality>_entry), the latents that were missing, in
                          standard deviations of the training rows, for sequences with
                          z_<modality>_token before the last; every weight that was given, with
                          <weight>_dim_0 and so on
``posterior_predictive``  ``y``: targets from the predictive distribution
``observed_data``         ``y``, where there are targets: (row) for classes and for a single
                          output, otherwise (row, output) or (row, class)
``log_likelihood``        ``y``: log-likelihood at draws that *have* seen the target, as
                          leave-one-out needs them (`sure_pyro.diagnostics.draws`)
``constant_data``         ``available`` (row, modality); ``variance`` (source, row, output) of
                          equation 8; ``probability``; ``log_predictive``, the log score of the
                          prediction without any draws
========================  ======================================================================

Every dimension has a coordinate: names for outputs, modalities and sources, numbers for all else.
Along ``row`` of `constant_data` and `observed_data` lies the coordinate ``mask_pattern`` too; draws
are without it, because ArviZ takes a second coordinate for one more variable, in its tables of
draws and its summaries. To split draws by it, use
``draws.y.groupby(idata.constant_data.mask_pattern)``.

The dimension is not called ``sample`` (only `constant_data` has that name for it): to ArviZ a
sample is a draw, and its `extract` and its plots make a dimension of that name. A latent has the
rows that lack its modality, and no others: ``z_<modality>_row`` says which. A slash in the name of
a modality becomes an underscore, because files know it as a separator, and what would have a name
twice gets an underscore at the end.

The posterior is that given what is visible. It has not seen the target, and it holds one marginal
per variable: output, latents and weights are drawn independently of each other.

Everything here is numpy and xarray, so that it can be tested wherever ArviZ runs, without torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.special
import xarray as xr
from jaxtyping import Bool, Float, Num, Shaped

from sure_pyro.diagnostics import draws as drawn

CHAINS = 4
"""Draws are independent; they are laid out in chains because ArviZ compares chains."""

Array = np.ndarray
Labelled = tuple[tuple[str, ...], np.ndarray]


@dataclass(frozen=True, eq=False)
class Arrays:
    """A prediction of B rows, C outputs and M modalities, as arrays.

    Parameters
    ----------
    mean : ndarray, shape (B, C)
        In units of the target, or logits.
    variance : dict of ndarray, shapes (B, C)
        By source; ``"head"`` is among them.
    available : bool ndarray, shape (B, M)
    modalities, outputs : sequence of str
    mask_pattern : ndarray of str, shape (B,)
    task : {"regression", "classification", "multilabel"}
    method : str
    probability : ndarray, shape (B, C), optional
        For classes and labels.
    target : ndarray, optional
        Classes (B,), labels (B, C) or values (B, C).
    latents : dict of (loc, scale), each (B, L, D)
        By modality; only rows that lack it are looked at.
    weights : dict of ndarray, shapes (S, ...)
        Draws of weights by name, as many as `num_draws`.
    """

    mean: Float[np.ndarray, "B C"]
    variance: Mapping[str, Float[np.ndarray, "B C"]]
    available: Bool[np.ndarray, "B M"]
    modalities: Sequence[str]
    outputs: Sequence[str]
    mask_pattern: Shaped[np.ndarray, " B"]
    task: str
    method: str = "taylor"
    probability: Float[np.ndarray, "B C"] | None = None
    target: Num[np.ndarray, " B *C"] | None = None
    latents: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)

    @property
    def total(self) -> Float[np.ndarray, "B C"]:
        """Sum over the sources, equation 8."""
        return np.sum(list(self.variance.values()), axis=0)

    @property
    def missing(self) -> Float[np.ndarray, "B C"]:
        """All variance but the head's own: what the draws of the output carry."""
        return (self.total - self.variance["head"]).clip(min=0)

    @property
    def output_name(self) -> str:
        """Name of the outputs in the posterior."""
        return "mu" if self.task == "regression" else "logit"

    @property
    def output_dim(self) -> str:
        """Name of the dimension of the C outputs."""
        return "output" if self.task == "regression" else "class"


def groups(a: Arrays, num_draws: int, seed: int) -> dict[str, xr.Dataset]:
    """Draw and label every group that `a` has the arrays for; see the module's docstring.

    Raises
    ------
    ValueError
        If `num_draws` is no positive multiple of 4, there are not as many draws of a weight, or a
        weight has a name that is taken.
    """
    check_draws(num_draws, a.weights)
    _check_names(a)
    rng = np.random.default_rng(seed)
    found = {
        "posterior": _posterior(a, num_draws, rng),
        "posterior_predictive": _y(_chains(_predictive(a, num_draws, rng), "row", a.output_dim)),
        "constant_data": _constant(a),
    }
    if a.target is not None:
        seen = drawn.seen(
            _centre(a), a.missing, a.variance["head"], a.target, a.task, num_draws, rng
        )
        found["log_likelihood"] = _y(_chains(seen, "row", a.output_dim))
        dims = ("row", a.output_dim)[: a.target.ndim]
        found["observed_data"] = _y((dims, a.target))
        score = _y((dims, log_predictive(a)))["y"]
        found["constant_data"] = found["constant_data"].assign(log_predictive=score)
    # Latents come last: with them or without them, all other draws are the same.
    found["posterior"] = found["posterior"].assign(_latents(a, num_draws, rng))
    return {name: _labelled(name, group, a) for name, group in found.items()}


def check_draws(num_draws: int, weights: Mapping[str, Any]) -> None:
    """Refuse numbers of draws that can not be laid out in chains, or that differ."""
    if num_draws < CHAINS or num_draws % CHAINS:
        raise ValueError(f"`num_draws` must be a positive multiple of {CHAINS}; got {num_draws}.")
    for name, values in weights.items():
        if np.ndim(values) == 0 or len(values) != num_draws:
            raise ValueError(
                f"`weights[{name!r}]` needs one draw for each of the {num_draws} draws along its "
                f"first axis; got shape {np.shape(values)}."
            )


def log_predictive(a: Arrays) -> Float[np.ndarray, " B *C"]:
    """Log density or probability of the target under the prediction itself."""
    assert a.target is not None
    y, q = a.target, a.probability
    if q is None:
        return -0.5 * (np.log(2 * np.pi * a.total) + np.square(y - a.mean) / a.total)
    chosen = q[np.arange(len(y)), y] if a.task == "classification" else np.where(y > 0.5, q, 1 - q)
    return np.log(chosen.clip(min=np.finfo(np.float32).eps))


def _posterior(a: Arrays, draws: int, rng: np.random.Generator) -> xr.Dataset:
    output = drawn.unseen(a.mean, a.missing, draws, rng)
    found = {a.output_name: _chains(output, "row", a.output_dim)}
    for weight, values in a.weights.items():
        dims = (f"{weight}_dim_{k}" for k in range(np.ndim(values) - 1))
        found[weight] = _chains(np.asarray(values), *dims)
    return xr.Dataset(found)


def _latents(a: Arrays, draws: int, rng: np.random.Generator) -> xr.Dataset:
    """Draws of z_i ~ Normal(mu_i, sigma_i^2), equation 2, for the rows that lack modality i."""
    found, rows = {}, {}
    for name, (loc, scale) in a.latents.items():
        lacking = np.flatnonzero(~a.available[:, list(a.modalities).index(name)])
        if len(lacking) == 0:
            continue
        site, dims = _names(a)[name]
        loc, scale = (np.asarray(x, dtype=np.float32)[lacking] for x in (loc, scale))
        z = rng.standard_normal((draws, *loc.shape), dtype=np.float32) * scale + loc
        if loc.shape[1] == 1:  # a vector, not a sequence
            z, dims = z[:, :, 0], [dims[0], dims[2]]
        found[site], rows[dims[0]] = _chains(z, *dims), lacking
    return xr.Dataset(found, rows)


def _names(a: Arrays) -> dict[str, tuple[str, list[str]]]:
    """By modality the name of its latent, and of that latent's dimensions; all of them differ."""
    taken: set[str] = set()

    def free(name: str) -> str:
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    sites = {name: free(f"z_{name}".replace("/", "_")) for name in a.latents}
    return {
        name: (site, [free(f"{site}_{of}") for of in ("row", "token", "entry")])
        for name, site in sites.items()
    }


def _check_names(a: Arrays) -> None:
    """Refuse weights that would take the place of something else."""
    latents = [name for site, dims in _names(a).values() for name in (site, *dims)]
    taken = ["chain", "draw", "row", a.output_dim, a.output_name, *latents]
    if wrong := [name for name in a.weights if name in taken or "/" in name]:
        raise ValueError(
            f"`weights` has the names {wrong}, which the posterior needs itself ({taken}) or which "
            "hold a slash: give these draws other names."
        )


def _predictive(a: Arrays, draws: int, rng: np.random.Generator) -> Array:
    return drawn.targets(a.probability, a.mean, a.total, a.task, draws, rng)


def _centre(a: Arrays) -> Array:
    """Mean of the outputs for `draws.seen`: logits that give the stated probabilities.

    A Gaussian logit of mean m and variance s2 says the probability of m / sqrt(1 + pi s2 / 8).
    Where the method has its own way to probabilities (averages over draws, a temperature) m is not
    what it says, so it is worked out backwards; under Taylor that gives m again.
    """
    if a.probability is None:
        return a.mean
    shrink = np.sqrt(1 + np.pi / 8 * a.total)
    floor = np.finfo(np.float32).eps
    if a.task == "multilabel":
        return scipy.special.logit(a.probability.clip(floor, 1 - floor)) * shrink
    log_q = np.log(a.probability.clip(min=floor))
    # A softmax does not tell a constant; the surest class keeps its logit.
    surest = (np.arange(len(log_q)), log_q.argmax(-1))
    constant = (a.mean / shrink - log_q)[surest]
    return (log_q + constant[:, None]) * shrink


def _constant(a: Arrays) -> xr.Dataset:
    outputs = ("row", a.output_dim)
    data: dict[str, Any] = {
        "available": (("row", "modality"), a.available),
        "variance": (("source", *outputs), np.stack(list(a.variance.values()))),
    }
    if a.probability is not None:
        data["probability"] = (outputs, a.probability)
    return xr.Dataset(data, attrs={"method": a.method, "task": a.task})


def _chains(x: Array, *dims: str) -> Labelled:
    """(S, ...) as (chain, draw, ...), with as many of the names as there are axes."""
    x = x.reshape(CHAINS, -1, *x.shape[1:])
    return ("chain", "draw", *dims)[: x.ndim], x


def _y(values: Labelled) -> xr.Dataset:
    """Targets or what belongs to them; a single output needs no dimension of its own."""
    dims, x = values
    if dims[-1] == "output" and x.shape[-1] == 1:
        dims, x = dims[:-1], x[..., 0]
    return xr.Dataset({"y": (dims, x)})


def _labelled(name: str, group: xr.Dataset, a: Arrays) -> xr.Dataset:
    """A coordinate for every dimension: tables and some plots of ArviZ look them up."""
    names = {
        a.output_dim: list(a.outputs),
        "modality": list(a.modalities),
        "source": list(a.variance),
    }
    coords: dict[Any, Any] = {
        d: names.get(str(d), np.arange(n)) for d, n in group.sizes.items() if d not in group.coords
    }
    if name == "constant_data":
        coords["sample"] = ("row", np.arange(len(a.available)))
    if name in ("constant_data", "observed_data"):
        coords["mask_pattern"] = ("row", a.mask_pattern.astype(str))
    return group.assign_coords(coords)
