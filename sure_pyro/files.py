"""Files that appear whole or not at all: written under a temporary name, then renamed.

Everything that the library writes goes through here. A temporary name lies in the folder of the
file and is drawn anew for every writing, so that no two files, threads or processes ever share
one, whatever their names have in common; one that a crash left behind is never read.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

KEPT = 40
"""Characters of the file's name in that of the temporary one: a file system allows 255 bytes."""


@contextmanager
def replacing(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; what is written there becomes `path` at the end.

    The suffix stays, since writers look at it. After an error the old file is as it was.

    Parameters
    ----------
    path : path
    durable : bool
        Wait until it is on the disk, so that not even a failure of the machine takes it back.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {path.parent} to write {path.name} into.")
    temporary = temporary_name(path)
    try:
        yield temporary
        if durable:
            sync(temporary)
        os.replace(temporary, path)
        if durable:
            sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write text in UTF-8."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def folder_replacing(path: str | Path) -> Iterator[Path]:
    """Give a new temporary folder beside `path` that becomes `path` at the end.

    After an error there is no folder, or the old one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    temporary.mkdir()
    try:
        yield temporary
        shutil.rmtree(path, ignore_errors=True)
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, put on the disk now."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def temporary_name(path: Path) -> Path:
    """Name beside `path` that nobody else has, hidden, with its suffix."""
    return path.with_name(f".{path.stem[:KEPT]}.{uuid.uuid4().hex}.tmp{path.suffix}")
