"""Pay only for rows in which something is uncertain: split a batch, and put it together again."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from sure_pyro.propagation.inputs import Inputs
from sure_pyro.propagation.moments import TOTAL, Moments


def split_rows(inputs: Inputs) -> tuple[Tensor, Tensor]:
    """Return indices of the rows with anything uncertain, and of the others."""
    active = inputs.any_uncertain()
    uncertain = active.nonzero()[:, 0]
    if len(uncertain) == len(inputs):
        return inputs.everything, uncertain[:0]
    return uncertain, (~active).nonzero()[:, 0]


def merge(blocks: list[tuple[Tensor, Moments]], sources: list[str], num_rows: int) -> Moments:
    """Moments of all rows from those of disjoint blocks of rows; the last sets the form.

    A source that a block does not have is certain there: zero, with error zero. The sources
    come in the order of `sources`, then those that the method itself added.
    """
    if len(blocks) == 1 and [*blocks[0][1].sources][: len(sources)] == sources:
        return blocks[0][1]
    added = [name for _, block in blocks for name in block.sources if name not in sources]
    names = list(dict.fromkeys([*sources, *added]))
    form = blocks[-1][1]
    zero = form.mean.new_zeros(num_rows, form.mean.shape[1])

    def place(parts: list[tuple[Tensor, Tensor | None]], like: Tensor) -> Tensor:
        for rows, values in parts:
            like = like if values is None else like.index_copy(0, rows, values)
        return like

    def place_all(part: str, names: list[str], like: Tensor) -> dict[str, Tensor]:
        parts = [(rows, getattr(block, part) or {}) for rows, block in blocks]
        return {name: place([(r, p.get(name)) for r, p in parts], like) for name in names}

    def place_one(part: str, like: Tensor) -> Tensor | None:
        if getattr(form, part) is None:
            return None
        return place([(rows, getattr(block, part)) for rows, block in blocks], like)

    return replace(
        form,
        mean=place([(rows, block.mean) for rows, block in blocks], zero),
        sources=place_all("sources", names, zero),
        covariances=None
        if form.covariances is None
        else place_all("covariances", names, zero.diag_embed()),
        expected=None
        if form.expected is None
        else place_one("expected", form.expected.new_zeros(num_rows, *form.expected.shape[1:])),
        errors=place_all("errors", [*names, TOTAL], zero) if form.errors else {},
        mean_error=place_one("mean_error", zero),
        explained=place_one("explained", torch.ones_like(zero)),  # a constant is linear
    )
