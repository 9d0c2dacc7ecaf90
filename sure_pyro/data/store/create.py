"""From rows of a dataset to sealed shards, block by block, so that what is done stays done."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm.auto import tqdm

from sure_pyro.data.store import journal as journals
from sure_pyro.data.store.fields import is_sequence, to_rows
from sure_pyro.data.store.journal import Journal, Numbers, compare, open_journal
from sure_pyro.data.store.layout import PADDING, Layout, Tensors, differences
from sure_pyro.data.store.manifest import FILE, Manifest, Shard
from sure_pyro.data.store.shard import STEM, Growing, checksum

Encode = Callable[[list[int]], Mapping[str, Any] | None]


class Settings(NamedTuple):
    """What a store is made with; to go on with it, it has to be the same.

    Attributes
    ----------
    fingerprint, class_names, task
        Kept with the store.
    dtype : torch.dtype or None
    lengths : dict of int
    shard_rows, shard_bytes : int
    """

    fingerprint: Any
    class_names: list[str] | None
    task: str | None
    dtype: torch.dtype | None
    lengths: dict[str, int]
    shard_rows: int
    shard_bytes: int

    def kept(self) -> dict[str, Any]:
        """What the manifest keeps."""
        return {
            "fingerprint": self.fingerprint,
            "class_names": self.class_names,
            "task": self.task,
        }

    def to_dict(self) -> dict[str, Any]:
        """All of them, ready for JSON."""
        return self._asdict() | {"dtype": str(self.dtype)}

    def capacity(self, layout: Layout) -> int:
        """Number of rows of a full shard."""
        return min(self.shard_rows, max(1, self.shard_bytes // layout.bytes_per_row))


def as_json(fingerprint: Any) -> Any:
    """A fingerprint as it comes back from a file.

    Raises
    ------
    TypeError
        If it holds other things than JSON does.
    """
    try:
        return json.loads(json.dumps(fingerprint, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(f"`fingerprint` must hold JSON values only: {error}.") from error


def create(
    folder: Path, blocks: Iterable, encode: Encode, settings: Settings, progress_bar: bool
) -> None:
    """Write a store, or what is lacking of it; see `LatentStore.create`."""
    if (folder / FILE).exists():
        _check_finished(Manifest.read(folder), blocks, settings)
        _clear(folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open_journal(folder) as journal:
        journal.start(settings.to_dict())
        _clear(folder, ".*.tmp*")
        writer = Writer(folder, journal, settings)
        writer.seal_full_shards()
        for numbers in _undone(blocks, journal.done, progress_bar):
            writer.write(numbers, encode(numbers))
        writer.finish()


class Writer:
    """Appends rows to a store.

    Parameters
    ----------
    folder : Path
    journal : Journal
    settings : Settings
    """

    def __init__(self, folder: Path, journal: Journal, settings: Settings):
        self.folder, self.journal, self.settings = folder, journal, settings

    def write(self, numbers: Sequence[int], fields: Any) -> None:
        """Put a block on the disk, then into the journal, then seal the shards that are full."""
        rows = None if fields is None else self._rows(numbers, fields)
        count = 0 if rows is None else len(rows["source"])
        if rows is not None and count:
            self._place(rows, count)
        self.journal.add_block(numbers, count)
        self.seal_full_shards()

    def seal_full_shards(self) -> None:
        """Seal what the journal says is full."""
        if self.journal.layout is not None:
            for number in range(self.journal.rows // self._capacity):
                self._seal(number, self._capacity)

    def finish(self) -> None:
        """Seal the last shard, write the manifest, and clear away what was needed to get there."""
        layout, rows = self.journal.layout, self.journal.rows
        if layout is None or rows == 0:
            raise ValueError("No row was encoded: a store needs at least one.")
        full, rest = divmod(rows, self._capacity)
        if rest:
            self._seal(full, rest)
        shards = tuple(map(self._described, range(full + (rest > 0))))
        skipped = len(self.journal.done) - rows
        Manifest(layout, shards, self.settings.kept(), skipped).write(self.folder)
        _clear(self.folder)

    @property
    def _capacity(self) -> int:
        assert self.journal.layout is not None
        return self.settings.capacity(self.journal.layout)

    def _growing(self, number: int) -> Growing:
        assert self.journal.layout is not None
        return Growing(self.folder / STEM.format(number), self.journal.layout, self._capacity)

    def _rows(self, numbers: Sequence[int], fields: Any) -> Tensors:
        """Rows in the layout of the store, which is that of its first block."""
        layout = self.journal.layout
        lengths = dict(self.settings.lengths)
        if layout is not None:
            lengths |= {
                n: L for n, (L, _) in layout.shapes.items() if PADDING + n in layout.columns
            }
        rows = to_rows(fields, numbers, lengths, self.settings.dtype)
        came = Layout.of(rows, is_sequence(fields))
        if layout is None:
            self.journal.add_layout(came)
        elif differences(layout, came):
            raise ValueError(
                f"The block of rows {list(numbers)[:3]}... differs from those before: "
                f"{'; '.join(differences(layout, came))}."
            )
        return rows

    def _place(self, rows: Tensors, count: int) -> None:
        """Write rows behind those that are there, into as many shards as it takes."""
        start = 0
        while start < count:
            number, within = divmod(self.journal.rows + start, self._capacity)
            stop = min(count, start + self._capacity - within)
            piece = {name: x[start:stop] for name, x in rows.items()}
            self._growing(number).write(within, piece)
            start = stop

    def _seal(self, number: int, rows: int) -> None:
        """Seal a shard, unless it was sealed with as many rows."""
        if self.journal.sealed.get(number, (0, ""))[0] != rows:
            shard = self._growing(number)
            shard.seal(rows)
            self.journal.add_shard(number, rows, checksum(shard.path))

    def _described(self, number: int) -> Shard:
        path = self.folder / STEM.format(number)
        rows, digest = self.journal.sealed[number]
        return Shard(path.name, rows, path.stat().st_size, digest)


def _clear(folder: Path, *patterns: str) -> None:
    """Remove what a finished store does not need, or what a killed process left half written."""
    for pattern in patterns or (".*.tmp*", "*.partial", journals.FILE):
        for file in folder.glob(pattern):
            file.unlink()


def _undone(blocks: Iterable, done: Numbers, progress_bar: bool) -> Iterator[list[int]]:
    """Rows of each block that are not done yet."""
    seen = Numbers()
    for block in tqdm(blocks, desc="encode", unit="block", disable=not progress_bar):
        numbers = _check_block(block, seen)
        seen.add(numbers)
        left = [number for number in numbers if number not in done]
        if left:
            yield left


def _check_block(block: Any, seen: Numbers) -> list[int]:
    try:
        numbers = np.asarray(block).tolist()
    except ValueError:  # lists of unequal lengths
        numbers = None
    if not isinstance(numbers, list) or not all(type(n) is int and n >= 0 for n in numbers):
        raise TypeError(
            f"`blocks` must hold lists of row numbers, such as range(0, 64); got {block!r:.60}."
        )
    twice = [number for number in numbers if number in seen]
    if twice or len(set(numbers)) < len(numbers):
        raise ValueError(f"Rows stand twice in `blocks`: {twice[:5] or numbers[:5]}.")
    return numbers


def _check_finished(manifest: Manifest, blocks: Iterable, settings: Settings) -> None:
    """Raise ValueError unless a finished store is what would be made now."""
    compare(dict(manifest.settings), settings.kept())
    wanted = Numbers()
    for block in blocks:
        wanted.add(_check_block(block, wanted))
    if len(wanted) != manifest.rows + manifest.skipped:
        raise ValueError(
            f"The store is finished with {manifest.rows} rows ({manifest.skipped} left out); "
            f"`blocks` has {len(wanted)}. A store is written once: name a new folder."
        )
