"""Reliability: what was predicted against what observed, bin by bin."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.axes
import numpy as np

from sure_pyro.metrics.reliability import Bins
from sure_pyro.plots.patterns import wilson
from sure_pyro.plots.style import axes, points


def plot_variance_reliability(
    bins: Mapping[str, Bins],
    ax: matplotlib.axes.Axes | None = None,
    *,
    unit: str = "standard deviations of the latent",
) -> matplotlib.axes.Axes:
    """Plot the root mean squared error over the predicted standard deviation.

    Parameters
    ----------
    bins : mapping of str to Bins
        From `sure_pyro.metrics.variance_bins`, by name of the series.
    unit : str
        Of standard deviation and error.

    Notes
    -----
    On the diagonal the uncertainty has the right size. Above it errors are larger than predicted
    (overconfident), below it smaller. A flat cloud says that the uncertainty does not rank.
    """
    ax = axes(ax)
    predicted = {name: np.sqrt(b.predicted) for name, b in bins.items()}
    observed = {name: np.sqrt(b.observed) for name, b in bins.items()}
    top = 1.05 * max(float(x.max()) for x in [*predicted.values(), *observed.values()])
    _diagonal(ax, top or 1.0)
    for number, name in enumerate(bins):
        ax.plot(predicted[name], observed[name], label=name, **points(number))
    ax.set(xlabel=f"predicted sd, {unit}", ylabel="actual root mean squared error")
    ax.legend()
    return ax


def plot_confidence_reliability(
    bins: Mapping[str, Bins], ax: matplotlib.axes.Axes | None = None
) -> matplotlib.axes.Axes:
    """Plot the accuracy over the probability of the most probable class.

    Parameters
    ----------
    bins : mapping of str to Bins
        From `sure_pyro.metrics.confidence_bins`, by name of the series.

    Notes
    -----
    Below the diagonal the model is right less often than it says. Bars are 95 % intervals of a
    share among that many rows (Wilson 1927), which do not vanish where all or none are right.
    """
    ax = axes(ax)
    _diagonal(ax, 1.0)
    for number, (name, b) in enumerate(bins.items()):
        low, high = wilson(b.observed, b.rows)
        bars = [(b.observed - low).clip(min=0), (high - b.observed).clip(min=0)]
        ax.errorbar(b.predicted, b.observed, bars, label=name, capsize=2, **points(number))
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    ax.set(xlabel="probability of the predicted class", ylabel="share that is right")
    ax.legend()
    return ax


def _diagonal(ax: matplotlib.axes.Axes, top: float) -> None:
    ax.axline((0, 0), slope=1, color="0.5", linewidth=1, label="right")  # to the end of any axis
    ax.set(xlim=(0, top), ylim=(0, top), aspect="equal")
