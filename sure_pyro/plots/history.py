"""How uncertainty began to go with error, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib.axes

from sure_pyro.plots.style import axes, line, points

SITES = "validation/rho/z_"


def plot_correlation_history(
    histories: Mapping[str, Any],
    ax: matplotlib.axes.Axes | None = None,
    *,
    phase: str = "reconstruction",
) -> matplotlib.axes.Axes:
    """Plot the validation correlation of several trainings, averaged over the modalities.

    Parameters
    ----------
    histories : mapping of str to History
        By the name of the objective.
    phase : str
        Phase of the training with sites ``z_<modality>``.

    Notes
    -----
    It is pooled over masks, and therefore higher than the correlation within a mask. A marker says
    which epoch was kept.
    """
    ax = axes(ax)
    for number, (name, history) in enumerate(histories.items()):
        frame = history.phase(phase)
        rho = frame[[column for column in frame if column.startswith(SITES)]].mean(axis=1)
        ax.plot(rho.index, rho, label=name, **line(number))
        best = history.best.get(phase, -1)
        if best in rho.index:
            ax.plot([best], [rho[best]], **{**points(number), "markersize": 9})
    ax.axhline(0, color="0.6", linewidth=0.8)
    ax.set(xlabel="epoch", ylabel="correlation of uncertainty and error, validation")
    ax.legend(title="objective (marker: epoch kept)")
    return ax
