"""What is fitted, as plain JSON and back: the one codec of all that is stored so.

A dataclass that is `Stored`, or a named tuple that is `register`-ed, becomes its fields and the
name of its type. Mappings become lists of pairs, since patterns are strings or integers and the
keys of JSON are strings only; infinities become words, since JSON has none. Sequences come back as
tuples. Nothing but these types is ever built from a file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from sure_pyro.files import write_text

StoredType = TypeVar("StoredType", bound="Stored")
Kind = TypeVar("Kind", bound=type)

KINDS: dict[str, type] = {}
"""Types that a file may hold, by name."""


def register(kind: Kind) -> Kind:
    """Let a type be stored."""
    KINDS[kind.__name__] = kind
    return kind


class Stored:
    """A dataclass that is rebuilt from plain lists, strings and numbers, to the last bit."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        register(cls)

    def to_dict(self) -> dict[str, Any]:
        """Give plain lists, strings and numbers, ready for JSON."""
        return encode(self)

    @classmethod
    def from_dict(cls: type[StoredType], state: Mapping[str, Any]) -> StoredType:
        """Rebuild what `to_dict` gave.

        Raises
        ------
        ValueError
            If it is of another type, or its fields are those of another version.
        """
        if state.get("type") != cls.__name__:
            raise ValueError(f"Expected a stored {cls.__name__!r}; got type {state.get('type')!r}.")
        return decode(state)

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


def encode(value: Any) -> Any:
    """Plain form of a value; see the module's docstring."""
    kind = type(value).__name__
    if KINDS.get(kind) is type(value):
        known = _fields(value)
        return {"type": kind, **{name: encode(item) for name, item in known.items()}}
    if isinstance(value, Mapping):
        return {"pairs": [[key, encode(item)] for key, item in value.items()]}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    return value


def _fields(value: Any) -> dict[str, Any]:
    names = getattr(value, "_fields", None) or [f.name for f in fields(value)]
    return {name: getattr(value, name) for name in names}


def decode(state: Any) -> Any:
    """Value of a plain form.

    Raises
    ------
    ValueError
        If it holds a type that is not known, or fields that it does not have.
    """
    if isinstance(state, list):
        return tuple(decode(item) for item in state)
    if not isinstance(state, Mapping):
        return state
    if "float" in state:
        return float(state["float"])
    if "pairs" in state:
        return {key: decode(item) for key, item in state["pairs"]}
    given = {name: decode(item) for name, item in state.items() if name != "type"}
    kind = state.get("type")
    try:
        return KINDS[str(kind)](**given)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"A stored {kind!r} with fields {sorted(given)} is not what this version stores; fit "
            "and store it again."
        ) from error


def write_json(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write a dictionary so that a crash leaves the old file or the new one, never half of one."""
    # allow_nan=False: NaN and infinity are no JSON, and other readers would refuse the file.
    write_text(path, json.dumps(state, indent=1, allow_nan=False))


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a dictionary from a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
