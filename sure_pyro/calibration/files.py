"""What is stored as JSON: plain numbers, written to a temporary name and renamed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from sure_pyro.files import write_text

StoredType = TypeVar("StoredType", bound="Stored")


def write_json(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write a dictionary so that a crash leaves the old file or the new one, never half of one."""
    # allow_nan=False: NaN and infinity are no JSON, and other readers would refuse the file.
    write_text(path, json.dumps(state, indent=1, allow_nan=False))


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a dictionary from a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


class Stored:
    """Something that is rebuilt from plain lists, strings and numbers, to the last bit."""

    def to_dict(self) -> dict[str, Any]:
        """Give plain lists, strings and numbers, ready for JSON."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls: type[StoredType], state: Mapping[str, Any]) -> StoredType:
        """Rebuild what `to_dict` gave."""
        raise NotImplementedError

    def to_json(self) -> str:
        """Give it as JSON text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls: type[StoredType], text: str) -> StoredType:
        """Rebuild what `to_json` gave."""
        return cls.from_dict(json.loads(text))

    def save(self, path: str | Path) -> None:
        """Write it to a JSON file."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls: type[StoredType], path: str | Path) -> StoredType:
        """Read it from a JSON file."""
        return cls.from_dict(read_json(path))
