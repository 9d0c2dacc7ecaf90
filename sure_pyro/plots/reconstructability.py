"""How much of each modality was reconstructed, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.axes

from sure_pyro.metrics.bootstrap import Interval
from sure_pyro.metrics.reconstructed import Reconstructability
from sure_pyro.plots.style import COLOURS, MARKERS, axes


def plot_reconstructability(
    found: Mapping[str, Reconstructability], ax: matplotlib.axes.Axes | None = None
) -> matplotlib.axes.Axes:
    """Plot R² with its interval for each target; with classes also between and within them.

    Parameters
    ----------
    found : mapping of str to Reconstructability
        By target modality.

    Notes
    -----
    An interval that reaches the line at 0 says that nothing was reconstructed for certain. High
    between and zero within classes says that the class was reconstructed and nothing else.
    """
    ax = axes(ax)
    parts = {"all": "r2", "between classes": "between", "within classes": "within"}
    for number, (label, part) in enumerate(parts.items()):
        intervals = [getattr(r, part) for r in found.values()]
        places = [k + 0.2 * (number - 1) for k, x in enumerate(intervals) if x is not None]
        known = [x for x in intervals if x is not None]
        if known:
            _draw(ax, places, known, number, label)
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.set_yticks(range(len(found)), list(found))
    ax.set(xlabel="R² against predicting the training mean", ylim=(len(found) - 0.5, -0.5))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _draw(
    ax: matplotlib.axes.Axes, places: list[float], known: list[Interval], number: int, label: str
) -> None:
    middle = [x.estimate for x in known]
    # A percentile interval need not hold its estimate; a bar can not have a negative length.
    below = [max(x.estimate - x.lower, 0) for x in known]
    above = [max(x.upper - x.estimate, 0) for x in known]
    ax.errorbar(
        middle,
        places,
        xerr=[below, above],
        fmt=MARKERS[number],
        color=COLOURS[number],
        capsize=3,
        label=label,
    )
