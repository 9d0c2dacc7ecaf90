"""A curve, its reconstruction, and the band in which it should lie."""

from __future__ import annotations

import matplotlib.axes
import numpy as np
from jaxtyping import Num

from sure_pyro.plots.style import COLOURS, axes


def plot_band(
    truth: Num[np.ndarray, " L"] | None,
    mean: Num[np.ndarray, " L"],
    sd: Num[np.ndarray, " L"],
    ax: matplotlib.axes.Axes | None = None,
    *,
    width: float = 2.0,
    xlabel: str = "entry",
    ylabel: str = "value",
) -> matplotlib.axes.Axes:
    """Plot mean and mean +- `width` sd, with the truth as points over it.

    Parameters
    ----------
    truth, mean, sd : ndarray, shape (L,)
        In one unit; `truth` may be None where it is not known.
    width : float
        Half width of the band in standard deviations; 2 should hold 95 % of the truth.
    """
    ax = axes(ax)
    x = np.arange(len(mean))
    low, high = mean - width * sd, mean + width * sd
    ax.fill_between(x, low, high, color=COLOURS[5], alpha=0.4, linewidth=0, label=f"+-{width:g} sd")
    ax.plot(x, mean, color=COLOURS[0], linewidth=1.5, label="reconstruction")
    if truth is not None:
        ax.plot(x, truth, "k.", markersize=4, label="truth")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return ax
