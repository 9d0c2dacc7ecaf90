"""Block missingness: whole groups lose a modality, as when a site has no such device."""

from collections.abc import Iterable

import torch

from sure_pyro.data.batch import Batch
from sure_pyro.data.missing.common import candidates, check_reachable, check_share
from sure_pyro.data.missing.keep import draw_kept
from sure_pyro.data.random import Seed, generator


def block(
    batch: Batch,
    rate: float,
    seed: Seed,
    *,
    modalities: Iterable[str] | None = None,
    keep_one: bool = True,
) -> Batch:
    """Hide modalities group by group.

    Parameters
    ----------
    batch : Batch
        With `group`.
    rate : float
        Expected share of the pairs (group, modality) that is hidden, exact as in `mcar`, and so at
        most (M - 1) / M. A group has a modality if one of its rows does.
    seed : int or torch.Generator
    modalities : iterable of str, optional
        The modalities that may be hidden; all by default.
    keep_one : bool
        Every group keeps a modality; single rows, incomplete before, that would lose all that they
        have keep what they have. False: groups and rows may lose everything.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If there are no groups, the rate can not be reached, or a modality is unknown.
    """
    if batch.group is None:
        raise ValueError("`block` hides modalities of whole groups, but the batch has no `group`.")
    may_hide = candidates(batch, modalities)
    M = len(may_hide)
    check_reachable(check_share(rate), (M - 1) / M if may_hide.all() else 1.0, keep_one)
    groups, member = batch.group.cpu().unique(return_inverse=True)
    available = batch.available.cpu()
    has = torch.zeros(len(groups), M).index_add_(0, member, available.float()) > 0
    keep = torch.where(has, 1 - rate * may_hide.double(), 0.0)  # (groups, M)
    kept = available & draw_kept(keep, generator(seed), keep_one)[member]
    if keep_one:
        kept = torch.where(kept.any(1, keepdim=True), kept, available)
    return batch.restrict(kept.to(batch.available.device), allow_empty=not keep_one)
