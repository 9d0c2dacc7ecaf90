"""One number for each mask pattern, with its interval, for one or several series."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.axes
import numpy as np
import pandas as pd
from jaxtyping import Num

from sure_pyro.plots.style import COLOURS, MARKERS, axes

STEP = 0.22  # between the series of one pattern, where a pattern has a height of 1
WIDTH = 34  # characters of a pattern before its name is broken


class Dots(NamedTuple):
    """Values of one series by pattern, with the ends of their intervals; NaN: there is none."""

    value: Num[np.ndarray, " K"]
    lower: Num[np.ndarray, " K"]
    upper: Num[np.ndarray, " K"]


def plot_by_pattern(
    tables: Mapping[str, pd.DataFrame],
    ax: matplotlib.axes.Axes | None = None,
    *,
    xlabel: str,
    reference: float | None = None,
    band: tuple[float, float] | None = None,
    log: bool = False,
) -> matplotlib.axes.Axes:
    """Plot a dot for each pattern and series, with its interval as a bar.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By name of the series, with the columns ``pattern`` and ``value``; optionally ``lower`` and
        ``upper``, and ``rows``, which the first series writes beside the patterns. Its patterns
        give the order.
    xlabel : str
        What is measured, with its unit.
    reference : float, optional
        A line at the value that is right or wanted.
    band : (float, float), optional
        A grey band around it: what is near enough.
    log : bool
        For ratios.

    Raises
    ------
    ValueError
        If there is no series, or a column is not there.
    """
    for name, table in tables.items():
        if missing := {"pattern", "value"} - set(table):
            raise ValueError(
                f"`tables[{name!r}]` needs the columns 'pattern' and 'value'; {sorted(missing)} "
                f"not among {list(table)}."
            )
    if not tables:
        raise ValueError("`tables` needs at least one series; got none.")
    first = next(iter(tables.values()))
    patterns = first["pattern"].tolist()
    rows = first["rows"].tolist() if "rows" in first else None
    series = {name: _dots(table, patterns) for name, table in tables.items()}
    return draw(series, patterns, rows, ax, xlabel=xlabel, reference=reference, band=band, log=log)


def plot_variance_ratio(
    tables: Mapping[str, pd.DataFrame],
    ax: matplotlib.axes.Axes | None = None,
    *,
    band: tuple[float, float] = (0.9, 1.1),
) -> matplotlib.axes.Axes:
    """Plot predicted over actual variance by pattern, such as before and after recalibration.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        As in `plot_by_pattern`.
    band : (float, float)
        What is near enough to 1.

    Notes
    -----
    Left of 1 variances are too small (overconfident), right of it too large. A bar that crosses 1
    is no evidence of a fault. Dots on opposite sides cancel in the overall one.
    """
    label = "predicted / actual variance"
    return plot_by_pattern(tables, ax, xlabel=label, reference=1.0, band=band, log=True)


def draw(
    series: Mapping[str, Dots],
    patterns: Sequence[str | int],
    rows: Sequence[int] | None,
    ax: matplotlib.axes.Axes | None,
    *,
    xlabel: str,
    reference: float | None = None,
    band: tuple[float, float] | None = None,
    log: bool = False,
) -> matplotlib.axes.Axes:
    """Draw the dots; see `plot_by_pattern`."""
    ax = axes(ax, height=1.5 + 0.14 * (2 + len(series)) * len(patterns))
    K = len(patterns)
    if band is not None:
        ax.axvspan(*band, color="0.88", linewidth=0)
    if reference is not None:
        ax.axvline(reference, color="0.5", linewidth=1)
    for number, (name, dots) in enumerate(series.items()):
        y = np.arange(K) + STEP * (number - (len(series) - 1) / 2)
        # A percentile interval need not hold its estimate; a bar can not have a negative length.
        bars = [(dots.value - dots.lower).clip(min=0), (dots.upper - dots.value).clip(min=0)]
        look: dict[str, Any] = {
            "fmt": MARKERS[number % 8],
            "color": COLOURS[number % 8],
            "markersize": 5,
        }
        ax.errorbar(dots.value, y, xerr=bars, capsize=2, label=name, **look)
    for edge in np.arange(K - 1) + 0.5:
        ax.axhline(edge, color="0.93", linewidth=0.8, zorder=0)
    ax.set_yticks(
        range(K), [label_of(p, rows[k] if rows else None) for k, p in enumerate(patterns)]
    )
    ax.tick_params(axis="y", length=0, labelsize="small")
    ax.set(xlabel=xlabel, ylim=(K - 0.5, -0.5))  # read from top to bottom, as given
    if log:
        ax.set_xscale("log")
        _plain_ticks(ax)
    if len(series) > 1:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(series), frameon=False)
    return ax


def label_of(pattern: str | int, rows: int | None = None, width: int = WIDTH) -> str:
    """Pattern and number of rows, in lines short enough to stand beside or above a plot."""
    # A no-break space: the number stays beside the last word.
    words = str(pattern) if rows is None else f"{pattern}\u00a0({rows})"
    return "\n".join(textwrap.wrap(words.replace("+", " + "), width))


def wilson(
    p: Num[np.ndarray, " K"], n: Num[np.ndarray, " K"], z: float = 1.96
) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % interval of a share p among n rows (Wilson 1927); NaN without rows.

    ``(p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)``
    """
    n = np.where(n > 0, n, np.nan)
    middle = p + z**2 / (2 * n)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)


def _dots(table: pd.DataFrame, patterns: Sequence[str | int]) -> Dots:
    found = table.set_index("pattern").reindex(patterns)
    value = found["value"].to_numpy(dtype=np.float64)
    ends = [found[c].to_numpy(dtype=np.float64) if c in found else value for c in Dots._fields[1:]]
    return Dots(value, *ends)


def _plain_ticks(ax: matplotlib.axes.Axes) -> None:
    """Ratios as 0.5, 1, 2 rather than as powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = ax.get_xlim()
    few = high / low < 30
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
