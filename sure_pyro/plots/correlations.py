"""Reached and attainable correlations of uncertainty and error, by size of the mask."""

from __future__ import annotations

import matplotlib.axes
import pandas as pd

from sure_pyro.plots.style import axes, points


def plot_correlations(
    table: pd.DataFrame,
    ax: matplotlib.axes.Axes | None = None,
    *,
    xlabel: str = "modalities hidden",
) -> matplotlib.axes.Axes:
    """Plot one line per column over the sizes of the mask.

    Parameters
    ----------
    table : DataFrame
        One row per size (its index), one column per correlation: reached within masks, attainable,
        pooled.
    xlabel : str
        What the index is.

    Notes
    -----
    Compare what is reached with what is attainable, not with 1: a squared error is one noisy draw
    of its variance.
    """
    ax = axes(ax)
    for number, column in enumerate(table.columns):
        ax.plot(range(len(table)), table[column], label=column, **points(number))
    ax.set_xticks(range(len(table)), [str(name) for name in table.index])
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set(xlabel=xlabel, ylabel="correlation of uncertainty and error", ylim=(None, 1))
    ax.legend()
    return ax
