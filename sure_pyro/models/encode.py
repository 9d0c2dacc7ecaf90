"""Encode a dataset once, and keep its latents on disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sure_pyro.backbones import Backbone, check_backbone
from sure_pyro.backbones.seam import values_of
from sure_pyro.data import Batch
from sure_pyro.data.formats.dataset import RawDataset
from sure_pyro.data.store import LatentStore, fingerprint, row_blocks
from sure_pyro.models.latents import encoded, sorted_out
from sure_pyro.models.stored import write_stand_in

LOOKED_AT = 32  # rows that a backbone is checked on


@torch.no_grad()
def encode_store(
    backbone: Backbone,
    data: Batch | RawDataset,
    path: str | Path,
    *,
    tokenizer: Any = None,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = 0,
    **options: Any,
) -> LatentStore:
    """Run the encoders over a dataset, each row once, and write the latents to a store.

    An interrupted call goes on where it was stopped when it is made again.

    Parameters
    ----------
    backbone : Backbone
        Frozen here, and checked on the first rows as `SURE` does.
    data : Batch or RawDataset
        Rows in memory, or a dataset that `sure_pyro.data.formats` reads row by row; rows that it
        leaves out are left out of the store.
    path : path
        Folder of the store.
    tokenizer : callable, optional
        For a dataset with text; see `RawDataset.to_batch`.
    settings : mapping, optional
        JSON values that the latents depend on, beside the backbone's weights.
    seed : int, optional
        Rows are written in random order, so that every shard is a sample of the dataset; None keeps
        their order.
    **options
        Of `LatentStore.create`: ``dtype``, ``lengths``, ``shard_rows``, ``shard_bytes``,
        ``progress_bar``.

    Returns
    -------
    LatentStore

    Raises
    ------
    ValueError
        If the backbone does not pass `check_backbone`, or as `LatentStore.create`.
    """
    backbone.freeze()
    few = _rows(data, list(range(min(LOOKED_AT, len(data)))), tokenizer)[0]
    backbone.prepare(few)
    check_backbone(backbone, few)
    like = next(iter(backbone.parameters()), torch.zeros(())).detach()

    def encode(numbers: list[int]) -> dict[str, Any] | None:
        batch, there, split = _rows(data, numbers, tokenizer)
        if not there:
            return None
        raw = encoded(backbone, batch)
        latents = sorted_out(raw, batch, like)
        return {
            "values": {n: z.reshape_as(values_of(raw[n])) for n, z in latents.values.items()},
            "available": latents.available,
            "padding": latents.padding,
            "target": batch.target,
            "group": batch.group,
            "split": split,
            "rows": there,
        }

    store = LatentStore.create(
        path,
        row_blocks(len(data), backbone.batch_size, seed),
        encode,
        fingerprint=fingerprint(backbone, **(settings or {})),
        class_names=data.class_names,
        task=data.task,
        **options,
    )
    write_stand_in(store.folder, backbone)
    return store


def _rows(data: Batch | RawDataset, numbers: list[int], tokenizer: Any):
    """Rows as a batch, the numbers of those that could be read, and the parts they belong to."""
    if isinstance(data, RawDataset):
        rows = data[numbers]
        if not rows:
            return None, [], []
        return data.to_batch(rows, tokenizer), [r.number for r in rows], [r.split for r in rows]
    part = data[numbers]
    split = None if part.test is None else ["test" if t else "train" for t in part.test.tolist()]
    return part, numbers, split
