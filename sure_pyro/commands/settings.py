"""``--settings FILE.json``: the options of a command as a file; the command line wins.

The file has an option per name, ``{"epochs": 5, "hide": ["text"], "tiny": true}``, or such a part
for each command, as the ``settings.json`` of a run folder has.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

OPTION = "--settings"


def with_settings(arguments: Sequence[str]) -> list[str]:
    """Arguments with those of the settings file in front of them, where later ones win.

    Raises
    ------
    ValueError
        If the file is no JSON object of options.
    """
    file = _file(arguments)
    if file is None:
        return list(arguments)
    command, *rest = arguments
    return [command, *_as_arguments(_read(Path(file), command)), *rest]


def _file(arguments: Sequence[str]) -> str | None:
    for i, argument in enumerate(arguments):
        if argument.startswith(OPTION + "="):
            return argument.removeprefix(OPTION + "=")
        if argument == OPTION and i + 1 < len(arguments):
            return arguments[i + 1]
    return None


def _read(file: Path, command: str) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"The settings {file} are no JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"The settings {file} must be an object of options by name.")
    by_command = found and all(isinstance(part, dict) for part in found.values())
    return found.get(command, {}) if by_command else found


def _as_arguments(options: dict[str, Any]) -> list[str]:
    """``--name=value``, in one argument each: so no value is taken for an option or a folder."""
    arguments = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(option)
        elif isinstance(value, list):
            arguments.append(f"{option}={','.join(map(str, value))}")
        elif value is not None and value is not False:
            arguments.append(f"{option}={value}")
    return arguments
