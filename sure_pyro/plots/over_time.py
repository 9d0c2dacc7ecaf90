"""Predicted over observed size, as time goes on."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.axes
import matplotlib.ticker
import numpy as np
from jaxtyping import Num

from sure_pyro.metrics import check
from sure_pyro.plots.style import axes, line

Pair = tuple[Num[np.ndarray, " N"], Num[np.ndarray, " N"]]


def plot_ratio_over_time(
    series: Mapping[str, Pair],
    ax: matplotlib.axes.Axes | None = None,
    *,
    window: int = 200,
    band: tuple[float, float] = (0.9, 1.1),
    ylabel: str = "predicted / observed variance",
) -> matplotlib.axes.Axes:
    """Plot the ratio of two moving averages, predicted over observed, in order of time.

    Parameters
    ----------
    series : mapping of str to (ndarray, ndarray), each of shape (N,)
        By name, predicted variances and squared errors of the rows of one mask pattern; or
        uncertainty scores and whether the answer was wrong.
    window : int
        Rows in an average.
    band : (float, float)
        What is near enough, grey.

    Raises
    ------
    ValueError
        If there is no series, or one has fewer rows than `window`.

    Notes
    -----
    Below 1 errors are larger than predicted. Even right variances wander: an average of `window`
    squared Gaussian errors scatters by sqrt(2 / `window`), 10 % at 200 rows.
    """
    if not series:
        raise ValueError("`series` needs at least one series; got none.")
    ax = axes(ax)
    for number, (name, (predicted, observed)) in enumerate(series.items()):
        s2, e2 = check.alike({"predicted": predicted, "observed": observed})
        if len(s2) < check.at_least("window", window, 1):
            raise ValueError(f"`window` is {window} rows, and {name!r} has only {len(s2)}.")
        average = np.full(window, 1 / window)
        above, below = (np.convolve(x, average, mode="valid") for x in (s2, e2))
        ratio = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
        ax.plot(np.arange(window, len(s2) + 1), ratio, label=name, **line(number))
    ax.axhspan(*band, color="0.9", zorder=0)
    ax.axhline(1, color="0.4", linewidth=1)
    ax.set(xlabel="rows in order of time", ylabel=f"{ylabel}, {window} rows", yscale="log")
    ax.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(matplotlib.ticker.StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    ax.legend()
    return ax
