"""What is done of an unfinished store: a line a block, written when the block is on the disk.

The file is locked while it is open, so that two processes never write one store. A last line that
was cut off by a crash does not count: what it stood for is done again.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sure_pyro.data.store.layout import Layout

FILE = "unfinished.jsonl"
VERSION = 1


class Journal:
    """Journal of an open store; see `open_journal`.

    Attributes
    ----------
    layout : Layout or None
        Once there is a first block.
    rows : int
        Rows that are on the disk.
    done : Numbers
        Rows of the dataset that are dealt with: written, or left out.
    sealed : dict of (int, str)
        Rows and checksum of the shards that are sealed, by their number.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self.layout: Layout | None = None
        self.rows = 0
        self.done = Numbers()
        self.sealed: dict[int, tuple[int, str]] = {}

    def start(self, settings: Mapping[str, Any]) -> None:
        """Begin with the settings, or compare them with those it began with.

        Raises
        ------
        ValueError
            If they differ, with what differs.
        """
        lines = self._file.readlines()
        whole = [line for line in lines if line.endswith(b"\n")]
        self._file.truncate(sum(map(len, whole)))
        self._file.seek(0, 2)
        if not whole:
            self._append({"version": VERSION, "settings": settings})
        else:
            compare(json.loads(whole[0])["settings"], settings)
        for line in whole[1:]:
            self._note(json.loads(line))

    def add_layout(self, layout: Layout) -> None:
        """Enter the layout."""
        self._append({"layout": layout.to_dict()})

    def add_block(self, numbers: Sequence[int], rows: int) -> None:
        """Enter rows of the dataset as done, of which `rows` were written."""
        self._append({"done": list(numbers), "rows": rows})

    def add_shard(self, number: int, rows: int, checksum: str) -> None:
        """Enter a sealed shard."""
        self._append({"shard": number, "rows": rows, "sha256": checksum})

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._note(entry)

    def _note(self, entry: Mapping[str, Any]) -> None:
        if "layout" in entry:
            self.layout = Layout.from_dict(entry["layout"])
        elif "done" in entry:
            self.done.add(entry["done"])
            self.rows += entry["rows"]
        elif "shard" in entry:
            self.sealed[entry["shard"]] = (entry["rows"], entry["sha256"])


class Numbers:
    """A growing set of non-negative integers, one byte each up to the largest."""

    def __init__(self):
        self._flags = np.zeros(0, bool)

    def add(self, numbers: Sequence[int]) -> None:
        """Put numbers in."""
        if len(numbers):
            more = max(numbers) + 1 - len(self._flags)
            self._flags = np.pad(self._flags, (0, max(more, 0)))
            self._flags[np.asarray(numbers)] = True

    def __contains__(self, number: int) -> bool:
        return number < len(self._flags) and bool(self._flags[number])

    def __len__(self) -> int:
        return int(self._flags.sum())


@contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """Open the journal of a store, for this process alone.

    Raises
    ------
    RuntimeError
        If another process has it open.
    """
    import fcntl  # not on every system, and only needed to write a store

    with open(folder / FILE, "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(f"Another process is writing the store {folder} now.") from error
        file.seek(0)
        yield Journal(file)


def compare(before: Any, now: Any) -> None:
    """Raise ValueError, with what differs, unless two settings are equal."""
    if before != now:
        words = "; ".join(_differences("", before, json.loads(json.dumps(now))))
        if words:
            raise ValueError(
                f"The store was begun with other settings: {words}. Go on with the settings it was "
                "begun with, or name a new folder."
            )


def _differences(name: str, before: Any, now: Any) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*before, *now]):
            yield from _differences(f"{name}.{key}".lstrip("."), before.get(key), now.get(key))
    elif before != now:
        yield f"{name} was {before!r}, now it is {now!r}"
