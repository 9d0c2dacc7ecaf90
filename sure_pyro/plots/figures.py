"""Figures for files: no window and no backend is needed for them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Literal

from matplotlib.figure import Figure

DPI = 110


def figure_of(
    plot: Callable[..., Any],
    *data: Any,
    size: tuple[float, float] = (7.0, 4.2),
    grid: tuple[int, int] | None = None,
    share_y: Literal["none", "row", "all"] = "none",
    **options: Any,
) -> Figure:
    """Draw data into a figure of their own.

    Parameters
    ----------
    plot : Callable
        A function of this package, called as ``plot(*data, axes, **options)``.
    *data
    size : (float, float)
        Width and height in inches.
    grid : (int, int), optional
        Rows and columns of panels, for a function that takes an array of axes.
    share_y : {"none", "row", "all"}
        Which panels have one vertical scale.
    **options
        Of the function.
    """
    figure = Figure(figsize=size, layout="constrained")
    if grid is None:
        plot(*data, figure.subplots(), **options)
    else:
        plot(*data, figure.subplots(*grid, squeeze=False, sharey=share_y), **options)
    return figure


def png(figure: Figure) -> bytes:
    """A figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
