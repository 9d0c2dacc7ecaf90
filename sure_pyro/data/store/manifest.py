"""The manifest of a store: what is in which shard, with checksums, and where it came from."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sure_pyro.data.store.layout import Layout
from sure_pyro.data.validate import TASKS
from sure_pyro.files import replacing

FILE = "manifest.json"
LIMIT = 100 * 10**6  # bytes: of a hundred thousand shards
VERSION = 1
SHARD = re.compile(r"shard-\d{5,12}\.safetensors")


@dataclass(frozen=True)
class Shard:
    """A sealed shard.

    Attributes
    ----------
    file : str
        Within the folder of the store.
    rows, bytes : int
    sha256 : str
        Of the file.
    """

    file: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a store says of itself.

    Attributes
    ----------
    layout : Layout
    shards : tuple of Shard
        In order; all but the last have the same number of rows.
    settings : dict
        What it was made with: `fingerprint`, `class_names`, `task`.
    skipped : int
        Rows of the dataset that could not be read and were left out.
    """

    layout: Layout
    shards: tuple[Shard, ...]
    settings: Mapping[str, Any]
    skipped: int = 0

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(shard.rows for shard in self.shards)

    def write(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        state = {
            "format": "sure_pyro latents",
            "version": VERSION,
            "rows": self.rows,
            "skipped": self.skipped,
            "settings": dict(self.settings),
            "layout": self.layout.to_dict(),
            "shards": [asdict(shard) for shard in self.shards],
        }
        text = json.dumps(state | {"digest": _digest(state)}, indent=1, allow_nan=False)
        with replacing(folder / FILE, durable=True) as temporary:
            temporary.write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read it, and look that it is what was written.

        Raises
        ------
        ValueError
            If it was changed, or belongs to something else.
        """
        path = folder / FILE
        state = _load(path)
        if state.get("version") != VERSION:
            raise ValueError(
                f"{path} has version {state.get('version')!r}; this release reads {VERSION}."
            )
        if state.pop("digest", None) != _digest(state):
            raise ValueError(f"{path} was changed after it was written: its checksum differs.")
        try:
            shards = _shards(state["shards"])
            layout = Layout.from_dict(state["layout"])
            settings, skipped = _settings(state["settings"]), _whole(state["skipped"])
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise ValueError(f"{path} is no manifest of a store of latents: {error}.") from error
        return cls(layout, shards, settings, skipped)


def _load(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LIMIT:
        raise ValueError(f"{path} is no manifest of a store of latents: it is too large.")
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no manifest of a store of latents: it is no JSON.") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} is no manifest of a store of latents: it is no object.")
    return state


def _shards(entries: Any) -> tuple[Shard, ...]:
    shards = tuple(map(_shard, entries))
    if not shards or len({shard.file for shard in shards}) < len(shards):
        raise ValueError("it needs shards, and each once")
    rows = [shard.rows for shard in shards]
    if 0 in rows:
        raise ValueError("it has a shard without rows")
    if set(rows[:-1]) - {rows[0]} or rows[-1] > rows[0]:
        raise ValueError(f"all shards but the last must have the same rows; got {rows[:5]}")
    return shards


def _shard(entry: Any) -> Shard:
    file, digest = entry["file"], entry["sha256"]
    if not isinstance(file, str) or not SHARD.fullmatch(file):
        raise ValueError(f"it names files that are no shards: {[file]}")
    if not isinstance(digest, str):
        raise ValueError(f"{file} has no checksum")
    return Shard(file, _whole(entry["rows"]), _whole(entry["bytes"]), digest)


def _settings(settings: Any) -> dict[str, Any]:
    names, task = settings["class_names"], settings["task"]
    if names is not None and not (isinstance(names, list) and {type(n) for n in names} == {str}):
        raise ValueError("'class_names' must be a list of texts, or null")
    if task not in (None, *TASKS):
        raise ValueError(f"'task' must be one of {TASKS}, or null")
    return {"fingerprint": settings["fingerprint"], "class_names": names, "task": task}


def _whole(n: Any) -> int:
    if type(n) is not int or not 0 <= n < 2**50:
        raise ValueError(f"it needs whole numbers of rows and bytes; got {n!r:.40}")
    return n


def _digest(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
