r"""Missingness that depends on values: MAR on what stays visible, MNAR on what goes missing.

The terms are of D. B. Rubin, Inference and missing data, Biometrika 63(3), 1976. An entry with
score s, standardised over the rows, is hidden with probability

.. math:: \pi = q \, \operatorname{sigmoid}(a + \text{strength} \cdot s),

the intercept a being solved for, so that the mean of pi is the rate. The cap q = (m - 1) / m for a
row with m modalities, all of which might go, makes room for the one that stays; elsewhere q = 1.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.fields import plain
from sure_pyro.data.missing.common import candidates, check_reachable, check_share, hide
from sure_pyro.data.random import Seed
from sure_pyro.data.standardize import masked_moments

TARGET = "target"


def mar(
    batch: Batch,
    rate: float,
    seed: Seed,
    *,
    given: str,
    strength: float = 2.0,
    keep_one: bool = True,
) -> Batch:
    """Hide modalities depending on one that stays visible, or on the target (missing at random).

    Parameters
    ----------
    batch : Batch
    rate : float
        Expected share that is hidden of the available entries of the other modalities.
    seed : int or torch.Generator
    given : str
        A modality, which is never hidden itself, or ``"target"``. The score of a row is the mean of
        its standardised values, standardised in turn; for classes it is the class number, for
        labels their count. Where the modality is absent the score is 0.
    strength : float
        Change of the log-odds per standard deviation of the score; 0 is MCAR, a negative value
        hides where the score is low.
    keep_one : bool
        Every row keeps at least one modality; the rate stays exact.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If `given` is unknown, there is no target, or the rate can not be reached.
    TypeError
        If `given` is a modality with several fields, which has no score.
    """
    check_share(rate)
    if given == TARGET:
        may_hide, score = candidates(batch, None), target_score(batch)
    elif given in batch.features:
        may_hide = torch.tensor([name != given for name in batch.modalities])
        score = modality_score(batch, given)
    else:
        raise ValueError(
            f"`given` must be 'target' or one of the modalities {list(batch.modalities)}; "
            f"got {given!r}."
        )
    available = batch.available.cpu()
    weight = (available & may_hide).double()  # (B, M)
    q = caps(available, may_hide, keep_one)
    scores = (strength * score).unsqueeze(1).expand_as(weight)
    pi = hiding_probability(scores, q, weight, rate, keep_one)
    return hide(batch, 1 - pi, seed, keep_one)


def mnar(
    batch: Batch,
    rate: float,
    seed: Seed,
    *,
    strength: float = 2.0,
    modalities: Iterable[str] | None = None,
    keep_one: bool = True,
) -> Batch:
    """Hide each modality depending on its own value, the one that goes missing (not at random).

    Parameters
    ----------
    batch : Batch
    rate : float
        Expected share of each modality's available rows that is hidden.
    seed : int or torch.Generator
    strength : float
        Change of the log-odds per standard deviation of the score, which is the mean of the row's
        standardised values, standardised in turn: large values go missing, or small ones where the
        strength is negative.
    modalities : iterable of str, optional
        The modalities that may be hidden; all by default.
    keep_one : bool
        Every row keeps at least one modality; the rate stays exact.

    Returns
    -------
    Batch

    Raises
    ------
    ValueError
        If a modality is unknown, or the rate can not be reached.
    TypeError
        If a modality that may be hidden has several fields, which have no score.
    """
    check_share(rate)
    may_hide = candidates(batch, modalities)
    available = batch.available.cpu()
    q = caps(available, may_hide, keep_one)
    pi = torch.zeros(available.shape, dtype=torch.float64)
    for i, name in enumerate(batch.modalities):
        if may_hide[i]:
            s = strength * modality_score(batch, name)
            pi[:, i] = hiding_probability(s, q[:, 0], available[:, i].double(), rate, keep_one)
    return hide(batch, 1 - pi, seed, keep_one)


def modality_score(batch: Batch, name: str) -> Float64[Tensor, " B"]:
    """Mean of a row's standardised entries, standardised over rows; 0 where it is absent."""
    x = plain(batch.features, name, "A score of its values").cpu().double()
    recorded = batch.recorded_entries(name).cpu()
    mean, scale = masked_moments(x, recorded)
    z = torch.where(recorded, (x - mean) / scale, 0.0).flatten(1)
    score = z.sum(1) / recorded.flatten(1).sum(1).clamp(min=1)
    return _standardized(score, recorded.flatten(1).any(1))


def target_score(batch: Batch) -> Float64[Tensor, " B"]:
    """Target as one number per row, standardised over rows."""
    if batch.target is None:
        raise ValueError("`given='target'` needs targets; the batch has none.")
    y = batch.target.cpu().double()
    score = y if y.ndim == 1 else y.mean(1)
    return _standardized(score, torch.ones(len(y), dtype=torch.bool))


def _standardized(score: Tensor, rows: Tensor) -> Tensor:
    mean, scale = masked_moments(score.unsqueeze(1), rows.unsqueeze(1))
    return torch.where(rows, (score - mean) / scale, 0.0)


def caps(
    available: Bool[Tensor, "B M"], may_hide: Bool[Tensor, " M"], keep_one: bool
) -> Float64[Tensor, "B 1"]:
    """Largest probability q at which every candidate of a row may be hidden."""
    m = (available & may_hide).sum(1, keepdim=True).double()
    stays = (available & ~may_hide).any(1, keepdim=True)
    free = stays if keep_one else torch.ones_like(stays)
    return torch.where(free, 1.0, (m - 1).clamp(min=0) / m.clamp(min=1))


def hiding_probability(
    score: Float64[Tensor, "*shape"],
    q: Float64[Tensor, "..."],
    weight: Float64[Tensor, "*shape"],
    rate: float,
    keep_one: bool,
) -> Float64[Tensor, "*shape"]:
    """Solve for a: pi = q sigmoid(a + score) has the rate as weighted mean; 0 where weight is 0."""
    total = weight.sum().clamp(min=1)
    check_reachable(rate, (weight * q).sum().item() / total.item(), keep_one)
    reach = score.abs().max().item() + 40.0  # sigmoid(40) is 1 in float64
    low, high = -reach, reach
    for _ in range(80):  # halves the interval down to rounding
        a = (low + high) / 2
        mean = ((weight * q * torch.sigmoid(a + score)).sum() / total).item()
        low, high = (a, high) if mean < rate else (low, a)
    return torch.where(weight > 0, q * torch.sigmoid(high + score), 0.0)
