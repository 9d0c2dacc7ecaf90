"""Missing completely at random: which entries go does not depend on any value."""

from collections.abc import Iterable, Mapping

import torch

from sure_pyro.data.batch import Batch
from sure_pyro.data.missing.common import candidates, check_reachable, check_share, hide
from sure_pyro.data.random import Seed, generator
from sure_pyro.data.validate import check_names


def mcar(
    batch: Batch,
    rate: float,
    seed: Seed,
    *,
    modalities: Iterable[str] | None = None,
    keep_one: bool = True,
) -> Batch:
    """Hide each available entry with the same probability.

    Parameters
    ----------
    batch : Batch
    rate : float
        Expected share of the available entries (row, modality) that is hidden. It is exact although
        a row keeps at least one modality (see `sure_pyro.data.missing.keep`), and therefore at most
        (M - 1) / M. Rows that lack modalities already, too many for this rate, keep exactly one.
    seed : int or torch.Generator
    modalities : iterable of str, optional
        The modalities that may be hidden; the rate counts these only. All by default.
    keep_one : bool
        False hides entries independently; rows may lose everything.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If the rate can not be reached, or a modality is unknown.
    """
    may_hide = candidates(batch, modalities)
    M = len(may_hide)
    check_reachable(check_share(rate), (M - 1) / M if may_hide.all() else 1.0, keep_one)
    keep = 1 - rate * may_hide.double()  # (M,)
    return hide(batch, keep.expand(len(batch), M), seed, keep_one)


def per_modality(
    batch: Batch, rates: Mapping[str, float], seed: Seed, *, keep_one: bool = True
) -> Batch:
    """Hide each modality at a rate of its own.

    Parameters
    ----------
    batch : Batch
    rates : mapping of str to float
        Expected share of each modality's available rows that is hidden; 0 for modalities that are
        not named. Exact although a row keeps one modality, so the rates add up to at most M - 1.
        Rows that lack modalities already, too many for these rates, keep exactly one.
    seed : int or torch.Generator
    keep_one : bool
        False hides entries independently; rows may lose everything.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If the rates can not be reached together, or a modality is unknown.
    """
    check_names(rates, "rates", batch.features)
    rate = [check_share(rates.get(name, 0.0), f"rates[{name!r}]") for name in batch.modalities]
    M = len(rate)
    if keep_one and sum(rate) > M - 1 + 1e-9:
        raise ValueError(
            f"The rates add up to {sum(rate):.4g}. When every row keeps one of {M} modalities "
            f"they can add up to at most {M - 1}. Lower them, or give `keep_one=False`."
        )
    keep = 1 - torch.tensor(rate, dtype=torch.float64)  # (M,)
    return hide(batch, keep.expand(len(batch), M), seed, keep_one)


def hide_exactly(batch: Batch, k: int, seed: Seed, *, keep_one: bool = True) -> Batch:
    """Hide exactly k of the available modalities of every row, at random which.

    Parameters
    ----------
    batch : Batch
    k : int
        Rows that have k modalities or fewer keep exactly one.
    seed : int or torch.Generator
    keep_one : bool
        False lets such rows lose everything.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If k is negative or leaves nothing of a complete row.
    """
    M = len(batch.modalities)
    largest = M - 1 if keep_one else M
    if not 0 <= k <= largest:
        raise ValueError(f"`k` must lie in 0..{largest} for {M} modalities; got {k}.")
    available = batch.available.cpu()
    present = available.sum(1, keepdim=True)
    num_hidden = torch.minimum(torch.tensor(k), (present - 1).clamp(min=0) if keep_one else present)
    order = torch.rand(available.shape, generator=generator(seed), dtype=torch.float64)
    rank = (order + 2.0 * ~available).argsort(1).argsort(1)  # absent modalities come last
    return batch.restrict((rank >= num_hidden).to(batch.available.device), allow_empty=not keep_one)
