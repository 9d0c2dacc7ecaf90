"""What the experiments share: their command line, their cache, and how results are kept."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
import torch
from matplotlib.figure import Figure

import sure_pyro as sp
from sure_pyro.files import replacing, write_text
from sure_pyro.provenance import provenance

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
CACHE = HERE.parent / "build" / "experiments"
DPI = 150


@dataclass(frozen=True)
class Options:
    """How an experiment is run.

    Attributes
    ----------
    data : tuple of str
        Embedded datasets by name, or ``.npz`` files in the canonical form.
    seeds : int
    workers : int
        Parallel processes.
    epochs : int or None
        Of each phase, instead of the defaults: for a quick look.
    out : Path
        Folder of the tables and figures.
    cache : Path
        Folder of finished cells: what is in it is not fitted again.
    """

    data: tuple[str, ...]
    seeds: int
    workers: int
    epochs: int | None
    out: Path
    cache: Path

    @property
    def fit(self) -> dict[str, Any]:
        """Keywords of `sure_pyro.fit`."""
        return {} if self.epochs is None else {"epochs": self.epochs}

    @property
    def sources(self) -> dict[str, str]:
        """The datasets by a short name."""
        return {Path(source).stem: source for source in self.data}


def options(description: str | None, data: Sequence[str] = ("digits",), seeds: int = 3) -> Options:
    """Read the command line.

    Parameters
    ----------
    description : str
        Docstring of the experiment.
    data, seeds
        Defaults.
    """
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--data", nargs="+", default=list(data))
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--epochs", type=int, help="of each phase, for a quick look")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--cache", type=Path, default=CACHE)
    found = parser.parse_args()
    matplotlib.use("agg")
    torch.set_num_threads(1)
    return Options(
        tuple(found.data), found.seeds, found.workers, found.epochs, found.out, found.cache
    )


def load(source: str) -> sp.Batch:
    """An embedded dataset by name, or a file; what was recorded in part counts as absent."""
    data = sp.load_npz(source) if source.endswith(".npz") else sp.load(source)
    return sp.resolve_partial(data, "absent")


def keep(name: str, tables: dict[str, pd.DataFrame], figure: Figure | None, out: Path) -> None:
    """Write tables, picture and where they come from, each whole or not at all.

    Parameters
    ----------
    name : str
        Of the experiment: the stem of every file.
    tables : dict of str to DataFrame
        By what is in them; ``""`` for the main one.
    figure : Figure, optional
    out : Path
    """
    out.mkdir(parents=True, exist_ok=True)
    for part, table in tables.items():
        stem = f"{name}_{part}" if part else name
        with replacing(out / f"{stem}.csv") as path:
            table.to_csv(path, index=False, float_format="%.5g")
    if figure is not None:
        with replacing(out / f"{name}.png") as path:
            figure.savefig(path, dpi=DPI)
    module = "python -m experiments." + Path(sys.argv[0]).stem
    origin = {"command": " ".join([module, *map(_short, sys.argv[1:])]), **provenance()}
    write_text(out / f"{name}.json", json.dumps(origin, indent=1) + "\n")
    print(f"Kept in {out}: {name}.csv, .png, .json")


def show(table: pd.DataFrame) -> None:
    """Print a table for a person."""
    print(table.to_string(float_format="{:.3f}".format), flush=True)


def _short(argument: str) -> str:
    """Argument of the command without folders: where a file lay is nobody's business."""
    return Path(argument).name if argument.endswith(".npz") else argument
