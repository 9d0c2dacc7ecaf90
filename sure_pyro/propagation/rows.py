"""Pay only for rows in which something is uncertain: split a batch, and put it together again."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sure_pyro.propagation.inputs import Inputs
from sure_pyro.propagation.moments import TOTAL, Moments


def split_rows(inputs: Inputs) -> list[Tensor]:
    """Return indices of the rows with anything uncertain, and of the others; no empty ones."""
    active = inputs.num_uncertain() > 0
    return [rows for rows in (active.nonzero()[:, 0], (~active).nonzero()[:, 0]) if len(rows)]


def merge(blocks: list[tuple[Tensor, Moments]], sources: list[str], num_rows: int) -> Moments:
    """Moments of all rows from those of disjoint blocks of rows.

    A source that a block does not have is certain there: zero, with error zero. The sources
    come in the order of `sources`, then those that the road itself added.
    """
    added = [name for _, block in blocks for name in block.sources if name not in sources]
    names = list(dict.fromkeys([*sources, *added]))
    mean = _place([(rows, block.mean) for rows, block in blocks], num_rows)
    road = blocks[0][1]  # the uncertain rows, if there are any
    zero = torch.zeros_like(mean)

    def spread(part: str, names: list[str], zero: Tensor) -> dict[str, Tensor]:
        parts = [(rows, getattr(block, part) or {}) for rows, block in blocks]
        found = {name: [(rows, p[name]) for rows, p in parts if name in p] for name in names}
        return {name: _place(f, num_rows) if f else zero for name, f in found.items()}

    def spread_one(part: str, default: Tensor) -> Tensor | None:
        value = getattr(road, part)
        return None if value is None else default.index_copy(0, blocks[0][0], value)

    return replace(
        road,
        mean=mean,
        sources=spread("sources", names, zero),
        covariances=spread("covariances", names, zero.diag_embed()) if road.covariances else None,
        errors=spread("errors", [*names, TOTAL], zero) if road.errors else {},
        mean_error=spread_one("mean_error", zero),
        explained=spread_one("explained", torch.ones_like(mean)),  # a constant is linear
    )


def _place(blocks: list[tuple[Tensor, Tensor]], num_rows: int) -> Tensor:
    first = blocks[0][1]
    whole = first.new_zeros(num_rows, *first.shape[1:])
    for rows, values in blocks:
        whole = whole.index_copy(0, rows, values)
    return whole
