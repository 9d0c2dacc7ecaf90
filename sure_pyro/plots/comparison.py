"""Models side by side: one metric by seeds, and as modalities go missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.axes
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sure_pyro.metrics import METRICS
from sure_pyro.metrics.registry import ONE
from sure_pyro.plots.style import COLOURS, axes, line, points

PANELS = ("score", "nll", "aurc", "correlation_within", "variance_ratio")


def plot_comparison(
    values: pd.DataFrame,
    ax: matplotlib.axes.Axes | None = None,
    *,
    label: str = "",
    good: float | None = None,
    attainable: Mapping[str, float] | None = None,
) -> matplotlib.axes.Axes:
    """Plot one metric of every model: a small point per seed, a large one for their mean.

    Parameters
    ----------
    values : DataFrame
        One row per seed, one column per model, as `Comparison.values` gives it.
    label : str
        Name and unit of the metric.
    good : float, optional
        The right value, drawn as a line: 1 for a ratio.
    attainable : mapping of str to float, optional
        What each model could reach, drawn as a bar across its row.

    Notes
    -----
    Thin lines join the models of one seed, which share rows and masks: where they run parallel, a
    difference is certain however wide the points scatter.
    """
    ax = axes(ax)
    names = list(values.columns)
    rows = np.arange(len(names))
    for _, of_seed in values.iterrows():
        ax.plot(of_seed, rows, color="0.75", linewidth=0.7, zorder=1)
    for number, name in enumerate(names):
        style = {**points(number), "linestyle": "none"}
        ax.plot(values[name], np.full(len(values), number), **{**style, "markersize": 3})
        ax.plot(values[name].mean(), number, **{**style, "markersize": 9, "alpha": 0.8})
    for name, value in (attainable or {}).items():
        row = names.index(name)
        ax.plot([value, value], [row - 0.3, row + 0.3], color="black", linewidth=2)
    if good is not None:
        ax.axvline(good, color="0.5", linewidth=1)
    if attainable:
        ax.plot([], [], color="black", linewidth=2, label="attainable")
        ax.legend()
    ax.set_yticks(rows, names)
    ax.set(xlabel=label, ylim=(len(names) - 0.5, -0.5))
    return ax


def plot_by_hidden(
    values: Mapping[str, pd.DataFrame],
    ax: matplotlib.axes.Axes | None = None,
    *,
    label: str = "",
) -> matplotlib.axes.Axes:
    """Plot one metric over the number of hidden modalities, a line per model.

    Parameters
    ----------
    values : mapping of str to DataFrame
        By how many are hidden: one row per seed, one column per model.
    label : str
        Name and unit of the metric.

    Notes
    -----
    Lines are means over seeds; bands reach from the lowest seed to the highest.
    """
    ax = axes(ax)
    names = list(dict.fromkeys(name for frame in values.values() for name in frame.columns))
    for number, name in enumerate(names):
        found = {k: frame[name].dropna() for k, frame in values.items() if name in frame}
        found = {k: v for k, v in found.items() if len(v)}
        x = list(found)
        mean, low, high = (
            [getattr(v, way)() for v in found.values()] for way in ("mean", "min", "max")
        )
        ax.plot(x, mean, label=name, marker=points(number)["marker"], markersize=5, **line(number))
        ax.fill_between(x, low, high, color=COLOURS[number % len(COLOURS)], alpha=0.12, linewidth=0)
    ax.set(xlabel="modalities hidden", ylabel=label)
    ax.legend()
    return ax


def plot_metric(
    c: Any,
    name: str = "nll",
    data: str | None = None,
    ax: matplotlib.axes.Axes | None = None,
) -> matplotlib.axes.Axes:
    """Plot one metric of a `Comparison`: every model and seed, with what is attainable."""
    label = METRICS[name].title_for(c.tasks[c.only(data)])
    attainable = None
    possible = name.replace("_within", "_attainable")
    if possible != name and possible in c.metrics(data):
        attainable = c.values(possible, data).mean().dropna().to_dict()
    values = c.values(name, data).reindex(columns=list(c.models))  # a row and a colour for each
    good = 1.0 if METRICS[name].better == ONE else None
    return plot_comparison(values, ax, label=label, good=good, attainable=attainable)


def comparison_figure(c: Any, data: str | None = None) -> Figure:
    """Draw the main metrics of a `Comparison`, and the score as modalities go missing."""
    data = c.only(data)
    shown = [name for name in PANELS if name in c.metrics(data)]
    figure = Figure(figsize=(13, 3.2 + 0.75 * len(c.models)), layout="constrained")
    panels = figure.subplots(2, 3).flat
    for name in shown:
        plot_metric(c, name, data, next(panels))
    sizes = sorted({s for k, s in c.slices(data) if k == "hidden"}, key=int)
    by_hidden = {k: c.values("score", data, "hidden", k) for k in sizes}
    plot_by_hidden(by_hidden, next(panels), label=METRICS["score"].label_for(c.tasks[data]))
    for left in panels:
        left.remove()
    seeds = c.table["seed"].nunique()
    figure.suptitle(f"{data}: {len(c.models)} models, {seeds} seeds (small points; large: mean)")
    return figure
