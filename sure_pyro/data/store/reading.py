"""Rows out of shards: mapped into memory, a few shards at a time, in any order."""

import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from sure_pyro.data.random import generator
from sure_pyro.data.store.layout import AVAILABLE, Tensors
from sure_pyro.data.store.manifest import Manifest
from sure_pyro.data.store.shard import checksum, open_shard

AHEAD = 16 * 2**20  # bytes of blocks that are read at once: one small read costs as much as many

Open = dict[int, Tensors]  # shards that are mapped, by their number


class Reader:
    """Shards of a store.

    Parameters
    ----------
    folder : Path
    manifest : Manifest
    """

    def __init__(self, folder: Path, manifest: Manifest):
        self.folder, self.manifest = folder, manifest
        self.shard_rows = manifest.shards[0].rows  # of all shards but the last

    def read(self, positions: Tensor, shards: Open) -> Tensors:
        """Copy rows, in the order asked for; shards that are opened for them stay in `shards`.

        They are looked up in the order in which they lie, so that a disk reads forward.
        """
        ordered, order = positions.sort()
        numbers, counts = (ordered // self.shard_rows).unique_consecutive(return_counts=True)
        pieces = []
        for number, here in zip(numbers.tolist(), ordered.split(counts.tolist()), strict=True):
            if number not in shards:
                shards[number] = self.open(number)
            within = here - number * self.shard_rows
            pieces.append({name: x[within] for name, x in shards[number].items()})
        back = torch.empty_like(order)
        back[order] = torch.arange(len(order))
        return {name: x[back] for name, x in self._joined(pieces).items()}

    def blocks(
        self, positions: Tensor, batch_size: int, seed: int | None, memory: int
    ) -> Iterator[Tensors]:
        """All of some rows, `batch_size` at a time; see `LatentStore.blocks`."""
        ahead = max(1, AHEAD // (batch_size * self.manifest.layout.bytes_per_row))
        left: list[Tensors] = []  # rows of a block that is not full; copies, so no shard is held
        for window in self._windows(positions, seed, memory):
            shards: Open = {}
            for part in window.split(batch_size * ahead):
                rows = self._joined([*left, self.read(part, shards)])
                blocks = list(_cut(rows, batch_size))
                last_is_full = _length(rows) % batch_size == 0
                left = [] if last_is_full else [blocks.pop()]
                yield from blocks
        yield from left

    def column(self, name: str) -> Tensor:
        """One tensor of all rows."""
        return torch.cat([self.open(i)[name] for i in range(len(self.manifest.shards))])

    def available(self) -> Tensor:
        """Modalities of which something was recorded, ``(B, M)``."""
        names = [AVAILABLE + name for name in self.manifest.layout.modalities]
        shards = (self.open(i) for i in range(len(self.manifest.shards)))
        return torch.cat([torch.stack([x[n].any(1) for n in names], 1) for x in shards])

    def open(self, number: int) -> Tensors:
        """Map a shard into memory."""
        shard = self.manifest.shards[number]
        return open_shard(self.folder / shard.file, self.manifest.layout, shard.rows)

    def check(self, verify: bool) -> None:
        """Raise ValueError unless all shards are there; with `verify`, as they were written."""
        wrong = []
        for shard in self.manifest.shards:
            path = self.folder / shard.file
            size = path.stat().st_size if path.is_file() else None
            if os.path.dirname(os.path.realpath(path)) != os.path.realpath(self.folder):
                wrong.append(f"{shard.file}: it is a symbolic link that leads out of the folder")
            elif size != shard.bytes:
                came = "it is not there" if size is None else f"it has {size} bytes"
                wrong.append(f"{shard.file}: {came}, expected are {shard.bytes} bytes")
            elif verify and checksum(path) != shard.sha256:
                wrong.append(f"{shard.file}: its checksum differs, so it was changed")
        if wrong:
            listed = "".join(f"\n  {line}" for line in wrong[:10])
            raise ValueError(
                f"{len(wrong)} of {len(self.manifest.shards)} shards of the store {self.folder} "
                f"are not what was written:{listed}\nRestore them from a copy, or encode anew in a "
                "new folder."
            )

    def _joined(self, pieces: list[Tensors]) -> Tensors:
        if len(pieces) == 1:
            return pieces[0]
        columns = self.manifest.layout.columns
        none = {name: torch.zeros(0, *c.shape, dtype=c.dtype) for name, c in columns.items()}
        return {name: torch.cat([x[name] for x in [none, *pieces]]) for name in columns}

    def _windows(self, positions: Tensor, seed: int | None, memory: int) -> Iterator[Tensor]:
        """Rows in the order of an epoch, a few shards at a time."""
        if seed is None:
            yield from positions.split(self.shard_rows)
            return
        draw = generator(seed)
        at_once = max(1, memory // self.manifest.shards[0].bytes)
        of_shard = positions // self.shard_rows
        numbers = of_shard.unique()
        for window in numbers[torch.randperm(len(numbers), generator=draw)].split(at_once):
            rows = positions[torch.isin(of_shard, window)]
            yield rows[torch.randperm(len(rows), generator=draw)]


def _cut(rows: Tensors, size: int) -> Iterator[Tensors]:
    for start in range(0, _length(rows), size):
        yield {name: x[start : start + size] for name, x in rows.items()}


def _length(rows: Tensors) -> int:
    return len(rows["source"])
