"""What the pictures have in common: colours, markers, dashes, hatches, and new axes.

Colours of Okabe and Ito (2008, "Color universal design"), ordered so that neighbours also differ in
grey.
"""

from typing import Any

import matplotlib.axes

COLOURS = ("#0072B2", "#E69F00", "#000000", "#CC79A7", "#009E73", "#56B4E9", "#D55E00", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":", (0, (3, 1, 1, 1, 1, 1)), (0, (5, 1)), (0, (1, 1)), (0, (8, 3)))
HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "--", "++")


def axes(ax: matplotlib.axes.Axes | None, height: float | None = None) -> matplotlib.axes.Axes:
    """Given axes, or those of a new figure, `height` inches high where the content asks for it."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt  # only here: it chooses a backend

    figsize = None if height is None else (6.4, max(height, 2.0))
    return plt.subplots(figsize=figsize, layout="constrained")[1]


def line(number: int) -> dict[str, Any]:
    """Keywords of the line with this number: colour and dash, 64 different pairs."""
    turn = number // len(COLOURS)  # colours come back with another dash
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": DASHES[(number + turn) % len(DASHES)],
    }


def points(number: int) -> dict[str, Any]:
    """Keywords of the series of points with this number: colour, dash and marker."""
    return {**line(number), "marker": MARKERS[number % len(MARKERS)], "markersize": 5}
