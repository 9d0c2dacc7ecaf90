"""Moments of many blocks of rows as those of one, so that a cross-check is on all rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sure_pyro.propagation import Moments


def pooled(blocks: Sequence[Moments]) -> Moments:
    """Rows of all blocks; a source that a block lacks brought nothing to its rows."""
    first = blocks[0]
    explained = [m.explained for m in blocks if m.explained is not None]
    return replace(
        first,
        mean=torch.cat([m.mean for m in blocks]),
        sources=_together([m.sources for m in blocks], blocks),
        errors=_together([m.errors for m in blocks], blocks),
        covariances=None,
        mean_error=None,
        explained=torch.cat(explained) if len(explained) == len(blocks) else None,
        num_samples=max(m.num_samples or 0 for m in blocks) or None,
    )


def _together(maps: Sequence[Mapping[str, Tensor]], blocks: Sequence[Moments]) -> dict[str, Tensor]:
    names = dict.fromkeys(name for by_name in maps for name in by_name)
    pairs = list(zip(maps, blocks, strict=True))
    return {
        name: torch.cat([by_name.get(name, torch.zeros_like(m.mean)) for by_name, m in pairs])
        for name in names
    }
