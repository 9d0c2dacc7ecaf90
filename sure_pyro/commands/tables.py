"""Tables that are larger than memory: pieces in files, joined to one file piece by piece."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sure_pyro.files import replacing

FORMATS = ("csv", "parquet")


def check_format(form: str) -> None:
    """Raise ImportError if a format can not be written here."""
    if form == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ImportError(
            "`--format parquet` needs pyarrow: pip install 'sure-pyro[parquet]', or take "
            "`--format csv`."
        )


def write_piece(table: pd.DataFrame, path: Path) -> None:
    """Write some rows, whole or not at all; the suffix of the name says in which format."""
    with replacing(path) as temporary:
        if path.suffix == ".parquet":
            table.to_parquet(temporary, engine="pyarrow", index=False)
        else:
            table.to_csv(temporary, index=False)


def join(pieces: Sequence[Path], path: Path) -> None:
    """Join pieces with the same columns to one file, with one of them in memory at a time."""
    with replacing(path) as temporary:
        (_join_parquet if path.suffix == ".parquet" else _join_csv)(pieces, temporary)


def _join_csv(pieces: Sequence[Path], path: Path) -> None:
    with open(path, "wb") as joined:
        for i, piece in enumerate(pieces):
            with open(piece, "rb") as file:
                header = file.readline()
                joined.write(header if i == 0 else b"")
                shutil.copyfileobj(file, joined)


def _join_parquet(pieces: Sequence[Path], path: Path) -> None:
    """A row group for each piece."""
    from pyarrow import parquet

    with parquet.ParquetWriter(path, parquet.read_schema(pieces[0])) as joined:
        for piece in pieces:
            joined.write_table(parquet.read_table(piece))
