"""Mask patterns: which modalities a row has, as a label that people read."""

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

if TYPE_CHECKING:
    from sure_pyro.data.batch import Batch

NOTHING = "nothing"


def pattern_label(available: Bool[Tensor, " M"], modalities: tuple[str, ...]) -> str:
    """Names of the available modalities joined by ``+``, or ``"nothing"``."""
    return "+".join(n for n, a in zip(modalities, available.tolist(), strict=True) if a) or NOTHING


def mask_patterns(batch: "Batch") -> list[str]:
    """Availability pattern of every row, such as ``"image+text"``.

    Parameters
    ----------
    batch : Batch

    Returns
    -------
    list of str, length B
    """
    if len(batch) == 0:
        return []
    patterns, index = torch.unique(batch.available, dim=0, return_inverse=True)
    labels = [pattern_label(pattern, batch.modalities) for pattern in patterns]
    return [labels[k] for k in index.tolist()]


def rows_by_pattern(batch: "Batch") -> dict[str, Int64[Tensor, " _"]]:
    """Row numbers of every availability pattern that occurs, the fullest pattern first.

    Returns
    -------
    dict of str to int64 Tensor
        Row numbers in ascending order.
    """
    if len(batch) == 0:
        return {}
    patterns, index = torch.unique(batch.available, dim=0, return_inverse=True)
    fullest_first = patterns.sum(1).argsort(descending=True, stable=True).tolist()
    return {
        pattern_label(patterns[k], batch.modalities): (index == k).nonzero().flatten()
        for k in fullest_first
    }
