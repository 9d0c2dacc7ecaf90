"""Whether Taylor and sampling agree: row by row, and where linearisation fails."""

from __future__ import annotations

import matplotlib.axes
import torch

from sure_pyro.plots.style import axes, points
from sure_pyro.propagation.check import CrossCheck


def plot_cross_check(
    check: CrossCheck, ax: matplotlib.axes.Axes | None = None
) -> matplotlib.axes.Axes:
    """Plot standard deviations by Taylor over those by sampling, one point per row and output.

    The band is the tolerance, the dashed lines the limit; rows that are beyond tolerance for
    certain are crosses.
    """
    ax = axes(ax)
    total, margins = check.comparisons["total"], check.margins
    x, y = total.sampled.sqrt().flatten().cpu(), total.taylor.sqrt().flatten().cpu()
    off = total.rows_off().flatten().cpu()
    top = float(torch.cat([x, y]).max()) * 1.05 or 1.0
    line = torch.tensor([0.0, top])
    lower, upper = (1 - margins.tolerance) ** 0.5, (1 + margins.tolerance) ** 0.5
    ax.fill_between(line, lower * line, upper * line, color="0.85", label="tolerance")
    for limit in (1 - margins.limit, 1 + margins.limit):
        ax.plot(line, limit**0.5 * line, "--", color="0.5", linewidth=1)
    for number, (rows, marker, label) in enumerate(
        [(~off, "o", "not off for certain"), (off, "x", "off for certain")]
    ):
        style = points(number) | {"marker": marker, "linestyle": "none", "markersize": 4}
        ax.plot(x[rows], y[rows], label=label, **style)
    ratio = float(total.taylor.sum() / total.sampled.sum())
    ax.set(xlim=(0, top), ylim=(0, top), title=f"ratio {ratio:.3g}")
    ax.set(xlabel="sd by sampling, output units", ylabel="sd by Taylor, output units")
    ax.legend(loc="upper left")
    return ax


def plot_nonlinearity(
    check: CrossCheck, ax: matplotlib.axes.Axes | None = None
) -> matplotlib.axes.Axes:
    """Map the share of the variance that the tangent does not explain, by row and output.

    Dark is linear, bright is where Taylor can not be trusted.

    Raises
    ------
    ValueError
        If the draws had no control, so that the index is not known.
    """
    if check.nonlinearity is None:
        raise ValueError(
            "The nonlinearity of every row is known after Taylor-controlled draws only: check "
            'against `sampling(..., control="taylor")`.'
        )
    ax = axes(ax)
    index = check.nonlinearity.detach().cpu().numpy()  # (B, C)
    image = ax.imshow(index, aspect="auto", vmin=0, vmax=1, cmap="cividis", interpolation="none")
    ax.set_xticks(range(index.shape[1]) if index.shape[1] <= 20 else ax.get_xticks()[1:-1])
    ax.set(xlabel="output", ylabel="row", title="where linearisation fails")
    ax.figure.colorbar(image, ax=ax, label="share of the variance, not explained by the tangent")
    return ax
