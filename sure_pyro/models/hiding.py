"""What is hidden from the reconstructor on purpose, so that there is a truth to learn from."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sure_pyro.models.latents import Latents, Masks


def hide(
    latents: Latents,
    generator: torch.Generator | None = None,
    tokens: float = 0.0,
    odds: Mapping[str, float] | None = None,
) -> Masks:
    """Hide a random part of what is available, so that there is a truth to learn from.

    Of the m modalities that a row has, a uniformly drawn 1..m-1 are hidden whole; a row with one
    modality keeps it. Random numbers come from the CPU, so that every device sees the same masks.

    Parameters
    ----------
    latents : Latents
    generator : torch.Generator, optional
        On the CPU; the default generator if None.
    tokens : float, in [0, 1)
        Share of the tokens of the remaining sequences that is hidden as well, for data in which
        sequences have gaps.
    odds : mapping of str to float, optional
        How likely each modality is to be the next that is hidden, relative to the others; positive,
        1 for those that are not named. How many are hidden does not depend on it, and neither does
        the use of random numbers: equal odds give the masks that no odds give.

    Returns
    -------
    dict of bool Tensor, shapes ``(B, L_i)``
        What is visible: v <= a.

    Raises
    ------
    ValueError
        If `odds` names an unknown modality or is not positive and finite.
    """
    present = latents.present
    B, M = present.shape
    num_present = present.sum(-1, keepdim=True).cpu()
    u = torch.rand(B, 1, generator=generator)
    num_hidden = (1 + (u * (num_present - 1)).floor()).clamp(max=num_present - 1)  # 1..m-1, or 0
    order = _order(torch.rand(B, M, generator=generator), latents.modalities, odds or {})
    order = order.masked_fill(~present.cpu(), math.inf)  # absent ones come last
    keep = (order.argsort(-1).argsort(-1) >= num_hidden).to(present.device)  # (B, M)
    visible = {}
    for j, (name, available) in enumerate(latents.available.items()):
        v = available & keep[:, j : j + 1]
        if tokens > 0 and v.shape[1] > 1:
            v = v & (torch.rand(v.shape, generator=generator) >= tokens).to(v.device)
        visible[name] = v
    return visible


def _order(u: Tensor, modalities: Sequence[str], odds: Mapping[str, float]) -> Tensor:
    """Keys of which the smallest are hidden first, ``(B, M)``, from uniform numbers.

    Exponential times with the odds as rates: which comes first, and which next among those that are
    left, has the odds as probabilities (Efraimidis and Spirakis 2006).
    """
    check_odds(odds, modalities)
    rates = [float(odds.get(name, 1.0)) for name in modalities]
    if len(set(rates)) == 1:
        return u
    return -torch.log1p(-u) / torch.tensor(rates)


def check_odds(odds: Mapping[str, float], modalities: Sequence[str]) -> None:
    """Verify the odds of `hide`.

    Raises
    ------
    ValueError
        If a modality is unknown, or its odds are not positive and finite.
    """
    unknown = [name for name in odds if name not in modalities]
    if unknown:
        raise ValueError(
            f"`hiding` must name modalities of {tuple(modalities)}; got {tuple(unknown)}."
        )
    wrong = {name: x for name, x in odds.items() if not 0 < x < math.inf}  # NaN fails too
    if wrong:
        raise ValueError(
            f"`hiding` must be positive and finite, as odds relative to the others; got {wrong}. "
            "For a modality that is never to be hidden take small odds, such as 0.01."
        )
