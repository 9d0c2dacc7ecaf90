"""Intra-modality missingness: some time steps or entries of a modality are not recorded."""

from collections.abc import Iterable

import torch
from jaxtyping import Bool
from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.fields import event_shape, plain
from sure_pyro.data.missing.common import candidates, check_reachable, check_share
from sure_pyro.data.missing.keep import draw_kept
from sure_pyro.data.random import Seed, generator


def within(
    batch: Batch,
    rate: float,
    seed: Seed,
    *,
    axis: str = "steps",
    modalities: Iterable[str] | None = None,
    keep_one: bool = True,
) -> Batch:
    """Hide parts of modalities: their `recorded` masks are lowered.

    Parameters
    ----------
    batch : Batch
    rate : float
        Expected share hidden of the recorded steps (or entries) of each row's modality. Exact
        although one of them stays, and so at most (L - 1) / L for a modality of L steps. A row with
        so few of them that the rate can not be reached keeps exactly one.
    seed : int or torch.Generator
    axis : {"steps", "entries"}
        Whole steps of sequences ``(L, channels)``, or single entries of anything.
    modalities : iterable of str, optional
        By default all, for ``"steps"`` all sequences. Modalities with several fields are there or
        not: ``"steps"`` passes over them by default.
    keep_one : bool
        One step (or entry) of each available modality stays, so that availability does not change.
        False hides parts independently: a modality that loses all of them becomes unavailable, and
        a row may lose everything.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If `axis` is none of the choices, a modality is unknown or has no steps, or the rate can not
        be reached.
    TypeError
        If a modality that is named, or all for ``"entries"``, has several fields.
    """
    check_share(rate)
    draw = generator(seed)
    recorded = {}
    for name in _chosen(batch, axis, modalities):
        parts = batch.recorded_entries(name).cpu()  # (B, *event)
        units = parts.flatten(2).any(2) if axis == "steps" and parts.ndim > 2 else parts.flatten(1)
        L = units.shape[1]
        check_reachable(rate, (L - 1) / L, keep_one)
        kept = _kept(units, rate, draw, keep_one)  # (B, L), or (B, entries)
        shape = kept.shape + (1,) * (parts.ndim - 2) if axis == "steps" else parts.shape
        recorded[name] = (parts & kept.reshape(shape)).to(batch.available.device)
    return batch.restrict(recorded=recorded, allow_empty=not keep_one)


def _kept(units: Bool[Tensor, "B L"], rate: float, draw, keep_one: bool) -> Bool[Tensor, "B L"]:
    keep = torch.full(units.shape, 1 - rate, dtype=torch.float64)
    return draw_kept(torch.where(units, keep, 0.0), draw, keep_one)


def _chosen(batch: Batch, axis: str, modalities: Iterable[str] | None) -> list[str]:
    if axis not in ("steps", "entries"):
        raise ValueError(f"`axis` must be 'steps' or 'entries'; got {axis!r}.")
    sequences = [n for n, x in batch.features.items() if isinstance(x, Tensor) and x.ndim > 2]
    if modalities is None and axis == "steps":
        chosen = sequences
    else:
        may_hide = candidates(batch, modalities).tolist()
        chosen = [name for name, may in zip(batch.modalities, may_hide, strict=True) if may]
    for name in chosen:
        plain(batch.features, name, "Hiding parts")
    without = [name for name in chosen if axis == "steps" and name not in sequences]
    if without or not chosen:
        shapes = {name: event_shape(x) for name, x in batch.features.items()}
        raise ValueError(
            f"axis='steps' needs sequences of shape (steps, ...); {without or 'none'} of the event "
            f"shapes {shapes} will do. Use axis='entries' for vectors."
        )
    return chosen
