"""Pictures of propagated moments: where the variance comes from, and whether two roads agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import matplotlib.axes

    from sure_pyro.propagation.check import CrossCheck
    from sure_pyro.propagation.moments import Moments

HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "--")  # tell the bars apart in grey print


def plot_shares(moments: Moments, ax: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
    """Plot the share of the variance by source, one stacked bar per output, over all rows.

    A negative interaction (the sources damp each other) hangs below zero.
    """
    ax = _axes(ax)
    total = moments.variance.sum(0)
    total = torch.where(total > 0, total, torch.ones_like(total))
    up, down = torch.zeros_like(total), torch.zeros_like(total)
    for number, (name, s2) in enumerate(moments.sources.items()):
        share = (s2.sum(0) / total).detach().cpu()
        base = torch.where(share >= 0, up.cpu(), down.cpu())
        ax.bar(
            range(len(share)),
            share.numpy(),
            bottom=base.numpy(),
            label=name,
            color=f"C{number}",
            edgecolor="white",
            hatch=HATCHES[number % len(HATCHES)],
        )
        up, down = up.cpu() + share.clamp_min(0), down.cpu() + share.clamp_max(0)
    ax.set_xticks(range(len(total)))
    ax.set(xlabel="output", ylabel="share of the variance", title=moments.method)
    ax.legend(title="source", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plot_check(check: CrossCheck, ax: matplotlib.axes.Axes | None = None) -> matplotlib.axes.Axes:
    """Plot standard deviations by Taylor over those by sampling, one point per row and output.

    The band is the tolerance, the dashed lines the limit; rows that are beyond tolerance for
    certain are crosses.
    """
    ax = _axes(ax)
    total = check.comparisons["total"]
    x, y = total.sampled.sqrt().flatten().cpu(), total.taylor.sqrt().flatten().cpu()
    off = total.rows_off().flatten().cpu()
    top = float(torch.cat([x, y]).max()) * 1.05 or 1.0
    line = torch.tensor([0.0, top])
    margins = check.margins
    lower, upper = (1 - margins.tolerance) ** 0.5, (1 + margins.tolerance) ** 0.5
    ax.fill_between(line, lower * line, upper * line, color="0.85", label="tolerance")
    for limit in (1 - margins.limit, 1 + margins.limit):
        ax.plot(line, limit**0.5 * line, "--", color="0.5", linewidth=1)
    ax.plot(x[~off], y[~off], "o", color="C0", markersize=3, label="not off for certain")
    ax.plot(x[off], y[off], "x", color="C3", markersize=5, label="off for certain")
    ax.set(xlim=(0, top), ylim=(0, top), title=f"ratio {_overall(check):.3g}")
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
    ax = _axes(ax)
    index = check.nonlinearity.detach().cpu().numpy()  # (B, C)
    image = ax.imshow(index, aspect="auto", vmin=0, vmax=1, cmap="cividis", interpolation="none")
    ax.set_xticks(range(index.shape[1]) if index.shape[1] <= 20 else ax.get_xticks()[1:-1])
    ax.set(xlabel="output", ylabel="row", title="where linearisation fails")
    ax.figure.colorbar(image, ax=ax, label="share of the variance, not explained by the tangent")
    return ax


def _overall(check: CrossCheck) -> float:
    total = check.comparisons["total"]
    return float(total.taylor.sum() / total.sampled.sum())


def _axes(ax: matplotlib.axes.Axes | None) -> matplotlib.axes.Axes:
    import matplotlib.pyplot as plt

    return plt.subplots()[1] if ax is None else ax
