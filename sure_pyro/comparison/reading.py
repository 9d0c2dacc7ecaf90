"""How a comparison reads: a table for people, and the sentences that it supports."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sure_pyro.comparison.results import Results
from sure_pyro.metrics import METRICS

SHOWN = (
    "score",
    "nll",
    "ece",
    "crps",
    "coverage",
    "reconstruction_error",
    "correlation_within",
    "variance_ratio",
    "aurc",
    "fit_seconds",
)
"""Metrics of the short table."""

DECIDING = ("score", "nll", "correlation_within", "variance_ratio", "aurc")
"""Metrics that get a sentence."""


def short_table(c: Results, data: str) -> pd.DataFrame:
    """Mean ± standard deviation over seeds of the main metrics; ``[a-b]``: possible ranks."""
    found: dict[str, dict[str, str]] = {}
    for name in SHOWN:
        if name not in c.metrics(data):
            continue
        values = c.values(name, data)
        cells = {m: _number(values[m], name) for m in values}
        if name == "correlation_within":
            cells = {m: f"{cell} of {_attainable(c, data, m)}" for m, cell in cells.items()}
        if name in DECIDING and values.shape[1] > 1:
            table = c.ranks(name, data)
            cells = {m: cell + _span(table, m) for m, cell in cells.items()}
        found[_label(c, data, name)] = cells
    frame = pd.DataFrame(found).fillna("-")
    return frame.reindex([m for m in c.models if m in frame.index]).rename_axis("model")


def sentences(c: Results, data: str) -> Iterator[str]:
    """What can be said about each deciding metric, and what can not."""
    for name in DECIDING:
        if name not in c.metrics(data) or c.values(name, data).shape[1] < 2:
            continue
        table = c.ranks(name, data)
        if len(table) < 2:
            continue
        first, label = table.index[0], _label(c, data, name)
        label = label[0].upper() + label[1:]
        level = [m for m in table.index[1:] if table.loc[m, "within_noise"]]
        words = f"{label}: {first} is first ({table['mean'].iloc[0]:.3g})"
        if len(level) == len(table) - 1:
            yield f"{words}, but no difference stands out of the noise."
        elif level:
            yield f"{words}; within noise of it: {', '.join(level)}."
        else:
            yield f"{words}, ahead of all others beyond the noise of these seeds."


def notes(c: Results) -> Iterator[str]:
    """What a reader must know: seeds, failures, interruption."""
    seeds = c.table["seed"].nunique()
    if seeds == 1:
        yield "One seed only: nothing is known of the noise, so no difference counts as certain."
    elif seeds:
        yield (
            f"{seeds} seeds; ± is the standard deviation over them, [a-b] the ranks that paired "
            "90 % intervals leave open."
        )
    for f in c.failures:
        yield f"Failed: {f.model} on {f.data}, seed {f.seed}: {f.reason}"
    if c.interrupted:
        yield "Interrupted: cells are lacking."


def as_text(c: Results) -> str:
    """`repr` of a comparison."""
    parts = [f"Comparison of {len(c.models)} models: {', '.join(c.models)}"]
    for data in datasets(c):
        parts += [
            f"\n{data} ({c.tasks[data]}), over all masks that hide something",
            short_table(c, data).to_string(),
            *sentences(c, data),
        ]
    return "\n".join([*parts, *notes(c)])


def datasets(c: Results) -> list[str]:
    """Datasets with a finished cell."""
    found = set(c.table["data"])
    return [data for data in c.tasks if data in found]


def _label(c: Results, data: str, name: str) -> str:
    return METRICS[name].label_for(c.tasks[data])


def _number(values: pd.Series, name: str) -> str:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return "-"
    digits = 0 if name == "fit_seconds" else 3
    spread = f" ± {known.std():.{digits}f}" if len(known) > 1 else ""
    return f"{known.mean():.{digits}f}{spread}"


def _attainable(c: Results, data: str, model: str) -> str:
    values = c.values("correlation_attainable", data)
    return f"{values[model].mean():.2f}" if model in values else "-"


def _span(table: pd.DataFrame, model: str) -> str:
    if model not in table.index:
        return ""
    best, worst = table.loc[model, ["best", "worst"]]
    return f" [{best}]" if best == worst else f" [{best}-{worst}]"
