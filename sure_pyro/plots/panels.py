"""The same plot for each mask pattern, in a grid with one scale."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.axes
import numpy as np

from sure_pyro.plots.patterns import label_of

COLUMNS = 4
TITLE = 22  # characters in a line


def plot_panels(
    draw: Callable[..., matplotlib.axes.Axes],
    parts: Mapping[str, Any],
    axs: np.ndarray | None = None,
    *,
    rows: Mapping[str, int] | None = None,
    **options: Any,
) -> np.ndarray:
    """Draw one panel for each pattern: ``draw(part, ax, **options)``.

    Parameters
    ----------
    draw : Callable
        Any function of this package, such as `plot_confidence_reliability`.
    parts : mapping of str to Any
        By pattern, what `draw` takes: for instance a mapping of series to `Bins`.
    axs : ndarray of Axes, optional
        Of any shape; the first patterns are shown where there are too few. Those that are not
        needed are switched off.
    rows : mapping of str to int, optional
        Written beside the pattern, and given to a `draw` that takes ``rows`` for its band of
        chance.

    Returns
    -------
    ndarray of Axes
    """
    new = axs is None
    axs = grid(len(parts)) if axs is None else np.asarray(axs)
    takes_rows = rows is not None and "rows" in inspect.signature(draw).parameters
    used = []
    for ax, (name, part) in zip(axs.reshape(-1), parts.items(), strict=False):
        number = rows.get(name) if rows else None
        draw(part, ax, **({"rows": number} if takes_rows else {}), **options)
        ax.set_title(label_of(name, number, TITLE), fontsize="small")
        used.append(ax)
    for ax in axs.reshape(-1)[len(used) :]:
        ax.set_axis_off()
    _one_scale(used)
    _labels_outside(axs, used)
    _one_legend(used, new)
    return axs


def _labels_outside(axs: np.ndarray, used: list[matplotlib.axes.Axes]) -> None:
    """Name an axis once: below the last panel of a column, left of the first of a row."""
    columns = axs.shape[-1]
    for k, ax in enumerate(used):
        ax.xaxis.label.set_fontsize("small")
        ax.yaxis.label.set_fontsize("small")
        if k + columns < len(used):
            ax.set_xlabel("")
        name = "" if k % columns else ax.get_ylabel()
        ax.set_ylabel("\n".join(textwrap.wrap(name, TITLE)))  # a panel is not high


def _one_legend(used: list[matplotlib.axes.Axes], new: bool) -> None:
    """One legend where all panels have the same: below a figure of ours, else in the first one."""
    legends = [legend for ax in used if (legend := ax.get_legend()) is not None]
    labels = [[text.get_text() for text in legend.get_texts()] for legend in legends]
    for legend in legends:
        for text in [*legend.get_texts(), legend.get_title()]:
            text.set_fontsize("x-small")
    if not legends or any(each != labels[0] for each in labels):
        return  # each panel says something of its own
    for legend in legends[0 if new else 1 :]:
        legend.remove()
    if new and (figure := used[0].get_figure()) is not None:
        handles, names = used[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)


def _one_scale(used: list[matplotlib.axes.Axes]) -> None:
    """Give all panels the limits of the widest, so that they can be compared."""
    for which in ("x", "y"):
        limits = np.array([getattr(ax, f"get_{which}lim")() for ax in used])
        low, high = limits[:, 0].min(), limits[:, 1].max()
        if not (limits[:, 0] > limits[:, 1]).any():  # an axis that runs downwards stays as it is
            for ax in used:
                getattr(ax, f"set_{which}lim")(low, high)


def grid(n: int, size: tuple[float, float] = (2.8, 2.4), columns: int = COLUMNS) -> np.ndarray:
    """Axes of a new figure for n panels, so many in a row."""
    import matplotlib.pyplot as plt  # only here: it chooses a backend

    columns = max(min(n, columns), 1)
    rows = max(-(-n // columns), 1)
    figsize = (size[0] * columns, size[1] * rows)
    return plt.subplots(rows, columns, figsize=figsize, squeeze=False, layout="constrained")[1]
