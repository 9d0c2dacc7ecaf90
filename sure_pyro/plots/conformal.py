"""Conformal coverage within each mask pattern, and where theory says that it lies."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.axes
import numpy as np
import pandas as pd

from sure_pyro.metrics.patterns import PerPattern
from sure_pyro.plots.patterns import Dots, draw, wilson


def plot_conformal_coverage(
    coverage: PerPattern | Mapping[str, PerPattern],
    guarantee: pd.DataFrame,
    ax: matplotlib.axes.Axes | None = None,
) -> matplotlib.axes.Axes:
    """Plot the share of new rows that is covered, by pattern, over the band that theory gives.

    Parameters
    ----------
    coverage : PerPattern, or mapping of str to PerPattern
        Of intervals or sets on rows that calibrated nothing: ``per_pattern(np.mean, inside,
        pattern=pattern)``.
    guarantee : DataFrame
        From ``ConformalIntervals.guarantee()`` or ``ConformalSets.guarantee()``.

    Notes
    -----
    The grey bar of a pattern holds the true coverage of nine calibration sets in ten: the fewer
    calibration rows, the longer it is. A dot is measured on new rows, and its whisker is the 95 %
    interval of that. Only where whisker and bar do not meet is something wrong: most often, the new
    rows come from elsewhere. A pattern without a bar has no guarantee of its own, or one that
    counts groups, for which no such range is known.
    """
    series = {"new rows": coverage} if isinstance(coverage, PerPattern) else dict(coverage)
    first = next(iter(series.values()))
    patterns, rows = first.pattern.tolist(), first.rows.tolist()
    dots = {name: _dots(found, patterns) for name, found in series.items()}
    ax = draw(dots, patterns, rows, ax, xlabel="share of new rows that is covered")
    known = guarantee.set_index("pattern").reindex(patterns)
    certain = known["at_least"].to_numpy(dtype=np.float64) > 0
    low, high = (known[c].to_numpy(dtype=np.float64) for c in ("one_set_low", "one_set_high"))
    y = np.flatnonzero(certain & np.isfinite(low))
    if len(y):
        ax.barh(
            y,
            (high - low)[y],
            left=low[y],
            height=0.7,
            color="0.85",
            zorder=0,
            label="nine calibration sets in ten",
        )
    wanted = known["at_least"][certain & (known["at_least"] < 1).to_numpy()]
    if len(wanted):
        ax.axvline(float(wanted.iloc[0]), color="0.4", linewidth=1, linestyle="--", label="wanted")
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize="small")
    return ax


def _dots(found: PerPattern, patterns: list) -> Dots:
    known = dict(
        zip(found.pattern.tolist(), zip(found.value, found.rows, strict=True), strict=True)
    )
    value, rows = np.array([known.get(p, (np.nan, 0)) for p in patterns], dtype=np.float64).T
    return Dots(value, *wilson(value, rows))
