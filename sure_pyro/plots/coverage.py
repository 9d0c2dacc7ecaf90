"""Central intervals at several levels: how often they hold, and how wide they are."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.axes
import numpy as np

from sure_pyro.metrics.intervals import IntervalCoverage
from sure_pyro.plots.patterns import wilson
from sure_pyro.plots.style import axes, points


def plot_coverage(
    curves: Mapping[str, IntervalCoverage],
    ax: matplotlib.axes.Axes | None = None,
    *,
    rows: int | None = None,
) -> matplotlib.axes.Axes:
    """Plot the coverage that was reached over the level that was asked for.

    Parameters
    ----------
    curves : mapping of str to IntervalCoverage
        From `sure_pyro.metrics.gaussian_coverage`, by name of the series.
    rows : int, optional
        How many rows a point rests on: draws where 95 % of right ones would lie.

    Notes
    -----
    Below the diagonal intervals are too narrow (overconfident), above it too wide. Read it beside
    `plot_width`: wide enough intervals cover anything.
    """
    ax = axes(ax)
    level = np.linspace(0, 1, 101)
    if rows is not None:
        low, high = wilson(level, np.full(101, rows))
        ax.fill_between(level, low, high, color="0.88", linewidth=0, label="right, within chance")
    ax.plot([0, 1], [0, 1], color="0.5", linewidth=1, label="right" if rows is None else None)
    for number, (name, curve) in enumerate(curves.items()):
        ax.plot(curve.level, curve.coverage, label=name, **points(number))
    ax.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    ax.set(xlabel="level of the interval", ylabel="share of targets inside")
    ax.legend(loc="upper left")
    return ax


def plot_width(
    curves: Mapping[str, IntervalCoverage],
    ax: matplotlib.axes.Axes | None = None,
    *,
    unit: str = "units of the target",
) -> matplotlib.axes.Axes:
    """Plot the mean width of the intervals over the coverage that they reach.

    Parameters
    ----------
    curves : mapping of str to IntervalCoverage
    unit : str
        Of the target.

    Notes
    -----
    At equal coverage the lower curve is the better one: it says as much with less.
    """
    ax = axes(ax)
    for number, (name, curve) in enumerate(curves.items()):
        ax.plot(curve.coverage, curve.width, label=name, **points(number))
    ax.set(xlabel="share of targets inside", ylabel=f"mean width, {unit}", xlim=(0, 1.02))
    ax.set_ylim(bottom=0)
    ax.legend(loc="upper left")
    return ax
