"""How much each mask pattern's own fit was trusted in a recalibration."""

from __future__ import annotations

from typing import Any

import matplotlib.axes
import pandas as pd

from sure_pyro.plots.patterns import label_of
from sure_pyro.plots.style import COLOURS, HATCHES, axes


def plot_shrinkage(
    table: pd.DataFrame, ax: matplotlib.axes.Axes | None = None
) -> matplotlib.axes.Axes:
    """Plot the weight of each pattern's own fit, and what is left to that of all rows.

    Parameters
    ----------
    table : DataFrame
        From ``VarianceRecalibration.to_dataframe()``, ``TemperatureScaling.to_dataframe()``, or the
        part of ``CalibratedSURE.calibration.to_dataframe()`` that is wanted: columns ``pattern``,
        ``rows`` and ``weight``. A line called ``"overall"`` is left out.

    Notes
    -----
    The more rows a pattern has, and the more patterns differ, the longer its own bar. Where all
    bars are zero, the patterns differ no more than chance makes them.
    """
    table = table[table["pattern"] != "overall"]
    ax = axes(ax, height=1.5 + 0.32 * len(table))
    y, own = range(len(table)), table["weight"].to_numpy(dtype=float)
    look: dict[str, Any] = {"edgecolor": "white", "height": 0.8}
    ax.barh(y, own, color=COLOURS[0], label="the pattern's own fit", **look)
    ax.barh(
        y, 1 - own, left=own, color=COLOURS[5], hatch=HATCHES[1], label="that of all rows", **look
    )
    rows = zip(table["pattern"], table["rows"], strict=True)
    ax.set_yticks(y, [label_of(name, int(n)) for name, n in rows], fontsize="small")
    ax.tick_params(axis="y", length=0)
    ax.set(xlim=(0, 1), ylim=(len(table) - 0.5, -0.5), xlabel="weight")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return ax
