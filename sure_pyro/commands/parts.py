"""What ``predict`` has done so far, block by block, so that a run that was killed can go on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from sure_pyro.commands.pooled import pooled
from sure_pyro.commands.tables import join, write_piece
from sure_pyro.files import replacing, write_text
from sure_pyro.propagation import Moments

MADE_FROM = "made_from.json"


class Parts:
    """Tables and moments of blocks of rows, in a folder of their own.

    Parameters
    ----------
    folder : Path
    made_from : mapping
        JSON values on which the numbers depend; what is there of other ones is removed.
    suffix : {".csv", ".parquet"}
    """

    def __init__(self, folder: Path, made_from: Mapping[str, Any], suffix: str):
        self.folder, self.suffix = folder, suffix
        file = folder / MADE_FROM
        if not file.is_file() or json.loads(file.read_text(encoding="utf-8")) != made_from:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            write_text(file, json.dumps(made_from))

    def __contains__(self, block: int) -> bool:
        return self._table(block).is_file()

    def write(self, block: int, table: pd.DataFrame, moments: Mapping[str, Moments]) -> None:
        """Put a block on the disk; it is there as soon as its table is."""
        for method, m in moments.items():
            tensors, about = _flat(m)
            with replacing(self._moments(block, method)) as file:
                save_file(tensors, file, about)
        write_piece(table, self._table(block))

    def join(self, blocks: int, path: Path) -> None:
        """Join the tables of all blocks to one file."""
        join([self._table(block) for block in range(blocks)], path)

    def moments(self, blocks: int, method: str) -> Moments:
        """Moments of all blocks by one method."""
        return pooled([_moments_in(self._moments(block, method)) for block in range(blocks)])

    def remove(self) -> None:
        """Clear away what is not needed any more."""
        shutil.rmtree(self.folder)

    def _table(self, block: int) -> Path:
        return self.folder / f"{block:06d}{self.suffix}"

    def _moments(self, block: int, method: str) -> Path:
        return self.folder / f"{block:06d}.{method}.safetensors"


def _flat(m: Moments) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, and what else a cross-check asks for."""
    tensors = {"mean": m.mean, **({} if m.explained is None else {"explained": m.explained})}
    tensors |= {f"sources/{name}": x for name, x in m.sources.items()}
    tensors |= {f"errors/{name}": x for name, x in m.errors.items()}
    about = [m.rows_share_draws, m.num_samples, m.method]
    own = {name: x.detach().contiguous().clone() for name, x in tensors.items()}
    return own, {"about": json.dumps(about)}


def _moments_in(path: Path) -> Moments:
    tensors = load_file(path)
    with safe_open(path, framework="pt") as file:
        share, num_samples, method = json.loads(file.metadata()["about"])
    within = {
        group: {n.removeprefix(group): x for n, x in tensors.items() if n.startswith(group)}
        for group in ("sources/", "errors/")
    }
    return Moments(
        tensors["mean"],
        within["sources/"],
        errors=within["errors/"],
        explained=tensors.get("explained"),
        rows_share_draws=share,
        num_samples=num_samples,
        method=method,
    )
