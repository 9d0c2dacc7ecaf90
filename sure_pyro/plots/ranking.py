"""Does the uncertainty put the rows in the right order? Risk-coverage and sparsification."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.axes

from sure_pyro.metrics.risk_curves import RiskCoverage
from sure_pyro.metrics.sparsification_curves import Sparsification
from sure_pyro.plots.style import axes, line, points


def plot_risk_coverage(
    curves: Mapping[str, RiskCoverage],
    ax: matplotlib.axes.Axes | None = None,
    *,
    loss: str = "share that is wrong",
    oracle: bool = True,
    thresholds: Mapping[str, float] | None = None,
) -> matplotlib.axes.Axes:
    """Plot the mean loss of the rows that are answered over their share of all rows.

    Parameters
    ----------
    curves : mapping of str to RiskCoverage
        By name of the series.
    loss : str
        Name and unit of the loss.
    oracle : bool
        Draw thinly what the best possible order would reach.
    thresholds : mapping of str to float, optional
        On the uncertainty, by name of the series: a marker where the series is cut, such as a
        policy's threshold for the pattern. Rows with less uncertainty are answered.

    Notes
    -----
    The lower, the better; a curve that is flat at its right end's height does not rank at all.
    """
    ax = axes(ax)
    for number, (name, curve) in enumerate(curves.items()):
        style = line(number)
        ax.plot(curve.coverage, curve.risk, label=f"{name}: area {curve.aurc:.3g}", **style)
        if oracle:
            ax.plot(curve.coverage, curve.oracle_risk, **{**style, "linewidth": 0.7, "alpha": 0.6})
        if thresholds is not None and name in thresholds:
            _mark(ax, curve, thresholds[name], number)
    ax.set(xlabel="share of rows answered, the surest first", ylabel=loss, xlim=(0, 1))
    ax.set_ylim(bottom=0)
    ax.legend(title="thin: the best possible order" if oracle else None)
    return ax


def _mark(ax: matplotlib.axes.Axes, curve: RiskCoverage, threshold: float, number: int) -> None:
    """Mark the last row that is answered; nothing where none is."""
    answered = int((curve.threshold < threshold).sum())
    if answered:
        at = answered - 1
        ax.plot(curve.coverage[at], curve.risk[at], **{**points(number), "markersize": 9})


def plot_sparsification(
    curves: Mapping[str, Sparsification], ax: matplotlib.axes.Axes | None = None
) -> matplotlib.axes.Axes:
    """Plot the remaining error over the share of most uncertain rows that is taken out.

    Parameters
    ----------
    curves : mapping of str to Sparsification
        By name of the series.

    Notes
    -----
    It should fall like the thin curve of the best possible order; a curve at 1 does not rank.
    """
    ax = axes(ax)
    for number, (name, curve) in enumerate(curves.items()):
        style = line(number)
        ax.plot(curve.removed, curve.remaining, label=f"{name}: AUSE {curve.ause:.3g}", **style)
        ax.plot(curve.removed, curve.oracle, **{**style, "linewidth": 0.7, "alpha": 0.6})
    ax.axhline(1, color="0.6", linewidth=0.8)
    ax.set(xlabel="share of rows taken out, the least sure first", xlim=(0, 1))
    ax.set_ylabel("error of the rest, relative to that of all rows")
    ax.set_ylim(bottom=0)
    ax.legend(title="thin: the best possible order")
    return ax
