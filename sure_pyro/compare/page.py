"""A comparison as files: tables, netCDF, pictures, and a page in Markdown and HTML."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sure_pyro.compare.html import html_page, html_table, markdown_table
from sure_pyro.compare.pictures import comparison_figure
from sure_pyro.compare.provenance import provenance
from sure_pyro.compare.reading import notes, sentences, short_table
from sure_pyro.files import replacing, write_text

if TYPE_CHECKING:
    from sure_pyro.compare.comparison import Comparison

HOW = (
    "Over all masks that hide something. ± is the standard deviation over seeds; [a-b] are the "
    "ranks that paired 90 % intervals leave open. A correlation is followed by what the same "
    "variances would reach if they were right: 1 is out of reach."
)


def save(c: Comparison, out: Path, about: dict[str, Any] | None = None) -> None:
    """Write every file of a comparison into a folder; see `Comparison.save`."""
    out.mkdir(parents=True, exist_ok=True)
    for name, frame in _frames(c).items():
        with replacing(out / f"{name}.csv") as path:
            frame.to_csv(path, index=False)
    run = {**(about or {}), **provenance()}
    datasets = [data for data in c.tasks if data in set(c.table["data"])]
    pictures = {data: _png(c, data) for data in datasets}
    for data, png in pictures.items():
        with replacing(out / f"comparison-{data}.png") as path:
            path.write_bytes(png)
    if datasets:
        with replacing(out / "comparison.nc") as path:
            c.to_dataset().to_netcdf(path)
    write_text(out / "run.json", json.dumps(run, indent=2) + "\n")
    write_text(out / "summary.md", "\n\n".join(_markdown(c, datasets, run)) + "\n")
    write_text(out / "index.html", html_page("Comparison", "\n".join(_html(c, pictures, run))))


def _frames(c: Comparison) -> dict[str, pd.DataFrame]:
    overall = c.table[c.table["kind"] == "overall"]
    summary = overall.groupby(["data", "model", "metric"], sort=False)["value"]
    return {
        "table": c.table,
        "summary": summary.agg(["mean", "std", "count"]).reset_index(),
        "differences": c.differences(),
        "history": c.history,
        "failed": c.failed(),
    }


def _markdown(c: Comparison, datasets: list[str], run: dict[str, Any]) -> Iterator[str]:
    yield "# Comparison"
    for data in datasets:
        yield f"## {data} ({c.tasks[data]})"
        yield HOW
        yield markdown_table(short_table(c, data))
        yield "\n".join(f"- {s}" for s in sentences(c, data))
        yield f"![{data}](comparison-{data}.png)"
    yield "\n".join(f"- {note}" for note in notes(c))
    yield "---\n\n" + "\n".join(_footer(run))


def _html(c: Comparison, pictures: dict[str, bytes], run: dict[str, Any]) -> Iterator[str]:
    yield "<h1>Comparison</h1>"
    for data, png in pictures.items():
        yield f'<h2>{escape(data)} ({c.tasks[data]})</h2><p class="how">{escape(HOW)}</p>'
        yield f'<div class="scroll">{html_table(short_table(c, data))}</div>'
        yield "<ul>" + "".join(f"<li>{escape(s)}</li>" for s in sentences(c, data)) + "</ul>"
        encoded = base64.b64encode(png).decode("ascii")
        yield f'<img alt="{escape(data)}" src="data:image/png;base64,{encoded}">'
    yield "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes(c)) + "</ul>"
    yield "<footer>" + "<br>".join(escape(line) for line in _footer(run)) + "</footer>"


def _footer(run: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in run["versions"].items())
    head = [f"Command: `{run['command']}`  "] if "command" in run else []
    return [
        *head,
        f"Versions: {versions}; commit {run['commit'] or 'unknown'}  ",
        f"Machine: {run['machine']}  ",
        "Numbers: table.csv (every model, seed and mask), summary.csv, differences.csv, "
        "history.csv; comparison.nc for xarray.",
    ]


def _png(c: Comparison, data: str) -> bytes:
    buffer = io.BytesIO()
    comparison_figure(c, data).savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
