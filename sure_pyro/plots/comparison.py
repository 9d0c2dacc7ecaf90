"""Models side by side: one metric by seeds, and as modalities go missing."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.axes
import numpy as np
import pandas as pd

from sure_pyro.plots.style import COLOURS, axes, line, points


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
