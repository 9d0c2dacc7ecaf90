"""The manifest of a store: what is in which shard, with checksums, and where it came from."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sure_pyro.data.store.layout import Layout
from sure_pyro.files import replacing

FILE = "manifest.json"
VERSION = 1
SHARD = re.compile(r"shard-\d{5,}\.safetensors")


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
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            digest = state.pop("digest")
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise ValueError(f"{path} is no manifest of a store of latents.") from error
        if state.get("version") != VERSION:
            raise ValueError(
                f"{path} has version {state.get('version')!r}; this release reads {VERSION}."
            )
        if digest != _digest(state):
            raise ValueError(f"{path} was changed after it was written: its checksum differs.")
        shards = tuple(Shard(**shard) for shard in state["shards"])
        strange = [shard.file for shard in shards if not SHARD.fullmatch(shard.file)]
        if strange:
            raise ValueError(f"{path} names files that are no shards: {strange[:5]}.")
        return cls(Layout.from_dict(state["layout"]), shards, state["settings"], state["skipped"])


def _digest(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
