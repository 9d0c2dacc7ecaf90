"""A deferral policy by mask pattern, beside the one static threshold for all."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.axes
import numpy as np

from sure_pyro.calibration.arrays import DeferralReport
from sure_pyro.plots.patterns import Dots, draw, wilson


def plot_deferral(
    reports: Mapping[str, DeferralReport],
    ax: matplotlib.axes.Axes | None = None,
    *,
    quantity: str = "risk",
    target: float | None = None,
    loss: str = "share that is wrong",
) -> matplotlib.axes.Axes:
    """Plot the risk among the accepted rows, or the share that is accepted, by pattern.

    Parameters
    ----------
    reports : mapping of str to DeferralReport
        From ``policy.evaluate`` on new rows, by name of the policy.
    quantity : {"risk", "coverage"}
    target : float, optional
        The risk that was asked for, or the share to be accepted: a line.
    loss : str
        Name and unit of the loss.

    Notes
    -----
    A static threshold has its risk above the line in some patterns and hands over too much in
    others. Whiskers are 95 % intervals. A pattern without a dot has no accepted row.

    Raises
    ------
    ValueError
        If `quantity` is neither.
    """
    if quantity not in ("risk", "coverage"):
        raise ValueError(f"`quantity` must be 'risk' or 'coverage'; got {quantity!r}.")
    first = next(iter(reports.values())).coverage
    patterns = ["overall", *first.pattern.tolist()]
    series = {name: _dots(report, patterns, quantity) for name, report in reports.items()}
    label = f"{loss}, among the accepted" if quantity == "risk" else "share that is accepted"
    ax = draw(
        series,
        patterns,
        [first.total_rows, *first.rows.tolist()],
        ax,
        xlabel=label,
        reference=target,
    )
    ax.axhline(0.5, color="0.5", linewidth=0.8)  # apart from the patterns: all rows together
    ax.set_xlim(left=-0.02 * ax.get_xlim()[1])  # a dot at 0 is not cut
    return ax


def _dots(report: DeferralReport, patterns: list, quantity: str) -> Dots:
    found = report.risk if quantity == "risk" else report.coverage
    known = dict(
        zip(found.pattern.tolist(), zip(found.value, found.rows, strict=True), strict=True)
    )
    known["overall"] = (found.overall, found.total_rows)
    value, rows = np.array([known.get(p, (np.nan, 0)) for p in patterns], dtype=np.float64).T
    return Dots(value, *wilson(value, rows))
