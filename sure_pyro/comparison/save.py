"""A comparison as files: tables, netCDF, pictures, and a page in Markdown and HTML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sure_pyro.comparison.reading import datasets, notes, sentences, short_table
from sure_pyro.comparison.results import Results
from sure_pyro.files import replacing, write_text
from sure_pyro.pages import render
from sure_pyro.plots import comparison_figure
from sure_pyro.plots.figures import png
from sure_pyro.provenance import provenance

HOW = (
    "Over all masks that hide something. ± is the standard deviation over seeds; [a-b] are the "
    "ranks that paired 90 % intervals leave open. A correlation is followed by what the same "
    "variances would reach if they were right: 1 is out of reach."
)


def save_comparison(c: Results, out: str | Path, about: Mapping[str, Any] | None = None) -> None:
    """Write ``index.html``, ``summary.md``, pictures, CSV tables, netCDF and ``run.json``.

    Parameters
    ----------
    c : Comparison
    out : path
        A folder; made if it is not there. It may be the ``out`` of `compare`.
    about : mapping, optional
        What else belongs into ``run.json``, such as the command.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name, frame in _frames(c).items():
        with replacing(out / f"{name}.csv") as path:
            frame.to_csv(path, index=False)
    run = {**(about or {}), **provenance()}
    parts = [_part(c, data) for data in datasets(c)]
    for part in parts:
        with replacing(out / f"comparison-{part['data']}.png") as path:
            path.write_bytes(part["png"])
    if parts:
        with replacing(out / "comparison.nc") as path:
            c.to_dataset().to_netcdf(path)
    page = {
        "title": "Comparison",
        "how": HOW,
        "parts": parts,
        "notes": list(notes(c)),
        "footer": _footer(run),
    }
    write_text(out / "run.json", json.dumps(run, indent=2) + "\n")
    write_text(out / "summary.md", render("comparison.md", **page))
    write_text(out / "index.html", render("comparison.html", **page))


def _part(c: Results, data: str) -> dict[str, Any]:
    """What the page says of one dataset."""
    return {
        "data": data,
        "task": c.tasks[data],
        "table": short_table(c, data),
        "sentences": list(sentences(c, data)),
        "png": png(comparison_figure(c, data)),
    }


def _frames(c: Results) -> dict[str, pd.DataFrame]:
    overall = c.table[c.table["kind"] == "overall"]
    summary = overall.groupby(["data", "model", "metric"], sort=False)["value"]
    return {
        "table": c.table,
        "summary": summary.agg(["mean", "std", "count"]).reset_index(),
        "differences": c.differences(),
        "history": c.history,
        "failed": c.failed(),
    }


def _footer(run: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    head = [f"Command: `{run['command']}`"] if "command" in run else []
    return [
        *head,
        f"Versions: {versions}; commit {run['commit'] or 'unknown'}",
        f"Machine: {run['machine']}",
        "Numbers: table.csv (every model, seed and mask), summary.csv, differences.csv, "
        "history.csv; comparison.nc for xarray.",
    ]
