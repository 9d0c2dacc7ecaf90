"""JSON on disk: plain numbers, written to a temporary name and renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: str | Path, state: Mapping[str, Any]) -> None:
    """Write a dictionary so that a crash leaves the old file or the new one, never half of one."""
    path = Path(path)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    # allow_nan=False: NaN and infinity are no JSON, and other readers would refuse the file.
    temporary.write_text(json.dumps(state, indent=1, allow_nan=False), encoding="utf-8")
    temporary.replace(path)


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a dictionary from a JSON file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
