"""One shard: a safetensors file that is filled row by row, then sealed and never written again.

While a shard grows it bears the suffix ``.partial`` and has room for all its rows, so that a block
of rows is written in place and what was written before stays where it is. Sealing gives it its
name, and cuts a last shard that is not full.
"""

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from sure_pyro.data.store.layout import CODES, Layout, Tensors
from sure_pyro.files import replacing, sync

CHUNK = 16 * 2**20  # bytes copied at a time
STEM = "shard-{:05d}.safetensors"


def head(layout: Layout, rows: int) -> bytes:
    """Header of a safetensors file with that many rows."""
    entries, end = {}, 0
    for name, column in layout.columns.items():
        start, end = end, end + rows * column.bytes_per_row
        entries[name] = {
            "dtype": CODES[column.dtype],
            "shape": [rows, *column.shape],
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format asks for data that start at a multiple of 8
    return struct.pack("<Q", len(text)) + text


def size(layout: Layout, rows: int) -> int:
    """Size in bytes of a shard with that many rows."""
    return len(head(layout, rows)) + rows * layout.bytes_per_row


class Growing:
    """A shard that is being written.

    Parameters
    ----------
    path : Path
        Of the finished shard.
    layout : Layout
    capacity : int
        Number of rows that it has room for.
    """

    def __init__(self, path: Path, layout: Layout, capacity: int):
        self.path, self.layout, self.capacity = path, layout, capacity
        self.partial = path.with_name(f"{path.name}.partial")

    def write(self, start: int, rows: Tensors) -> None:
        """Put rows into their places, from row `start` on, and onto the disk."""
        start_of = self._starts(self.capacity)
        number = os.open(self.partial, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if os.fstat(number).st_size != size(self.layout, self.capacity):
                os.pwrite(number, head(self.layout, self.capacity), 0)
                os.ftruncate(number, size(self.layout, self.capacity))  # the last step of making it
            for name, column in self.layout.columns.items():
                _write(number, as_bytes(rows[name]), start_of[name] + start * column.bytes_per_row)
            os.fsync(number)
        finally:
            os.close(number)

    def seal(self, rows: int) -> None:
        """Give a shard its name, with its first `rows` rows; one that has it stays as it is."""
        if rows == self.capacity:
            if self.partial.exists():
                os.replace(self.partial, self.path)
                sync(self.path.parent)
        else:  # what it grew in stays, until the store is finished: rows may still come
            with replacing(self.path, durable=True) as temporary, open(temporary, "wb") as target:
                target.write(head(self.layout, rows))
                for piece in self._pieces(rows):
                    target.write(piece)

    def _pieces(self, rows: int) -> Iterator[bytes]:
        """Bytes of the first rows of every tensor, in order."""
        start_of = self._starts(self.capacity)
        with open(self.partial, "rb") as source:
            for name, column in self.layout.columns.items():
                source.seek(start_of[name])
                left = rows * column.bytes_per_row
                while left > 0:
                    piece = source.read(min(CHUNK, left))
                    left -= len(piece)
                    yield piece

    def _starts(self, rows: int) -> dict[str, int]:
        """Where each tensor starts in the file."""
        starts, position = {}, len(head(self.layout, rows))
        for name, column in self.layout.columns.items():
            starts[name] = position
            position += rows * column.bytes_per_row
        return starts


def open_shard(path: Path, layout: Layout, rows: int) -> Tensors:
    """Tensors of a sealed shard, mapped into memory: a page is read when it is looked at.

    Raises
    ------
    ValueError
        If it is no shard of this layout with that many rows.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no shard that can be read: {error}") from error
    came = {name: (x.dtype, tuple(x.shape)) for name, x in tensors.items()}
    expected = {name: (c.dtype, (rows, *c.shape)) for name, c in layout.columns.items()}
    if came != expected:
        raise ValueError(
            f"{path} belongs to another store: it holds {came}, expected are {expected}."
        )
    return tensors


def checksum(path: Path, each: Callable[[int], object] | None = None) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(CHUNK):
            digest.update(piece)
            if each is not None:
                each(len(piece))
    return digest.hexdigest()


def as_bytes(x: torch.Tensor) -> memoryview:
    """Bytes of a tensor, row by row."""
    return x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _write(number: int, left: memoryview, position: int) -> None:
    while left:  # a single call writes at most 2 GB
        written = os.pwrite(number, left, position)
        left, position = left[written:], position + written
