"""The probability integral transform: flat where the predicted distribution is right."""

from __future__ import annotations

import matplotlib.axes
import numpy as np
import scipy.stats
from jaxtyping import Num, Shaped

from sure_pyro.plots.panels import plot_panels
from sure_pyro.plots.style import COLOURS, axes


def plot_pit(
    values: Num[np.ndarray, " N"],
    ax: matplotlib.axes.Axes | None = None,
    *,
    bins: int = 10,
    title: str = "",
) -> matplotlib.axes.Axes:
    """Plot the histogram of PIT values, with where 95 % of flat histograms would end.

    Parameters
    ----------
    values : ndarray, shape (N,), in [0, 1]
        From `sure_pyro.metrics.pit`.
    bins : int

    Notes
    -----
    A U means variances too small, a hump variances too large, a slope bias. The band takes the
    values for independent; for many entries of few rows it is too narrow.
    """
    ax = axes(ax)
    counts, edges = np.histogram(values, bins=bins, range=(0, 1))
    density = counts * bins / max(len(values), 1)
    low, high = (scipy.stats.binom.ppf([0.025, 0.975], len(values), 1 / bins)) * bins / len(values)
    ax.axhspan(low, high, color="0.85", label="flat, within chance")
    ax.stairs(density, edges, color=COLOURS[0], linewidth=1.5)
    ax.axhline(1, color="0.5", linewidth=0.8)
    top = 1.1 * max(float(density.max()), float(high))
    ax.set(xlabel="PIT", ylabel="density", xlim=(0, 1), ylim=(0, top))
    ax.set_title(title, fontsize="small")
    return ax


def plot_pit_grid(
    values: Num[np.ndarray, " N"],
    pattern: Shaped[np.ndarray, " N"],
    axs: np.ndarray | None = None,
    *,
    bins: int = 10,
) -> np.ndarray:
    """Plot one PIT histogram for each mask pattern, those with most rows first.

    Parameters
    ----------
    values : ndarray, shape (N,)
    pattern : ndarray of str or int, shape (N,)
    axs : ndarray of Axes, optional
        As many as patterns to be shown; one for each pattern by default.

    Returns
    -------
    ndarray of Axes
        Those that were not needed are switched off.
    """
    names, rows = np.unique(pattern, return_counts=True)
    order = np.argsort(-rows, kind="stable")
    parts = {str(names[k]): values[pattern == names[k]] for k in order}
    counts = {str(names[k]): int(rows[k]) for k in order}
    return plot_panels(plot_pit, parts, axs, rows=counts, bins=bins)
