"""Where the variance of the prediction comes from, as modalities go missing."""

from __future__ import annotations

import matplotlib.axes
import numpy as np
import pandas as pd

from sure_pyro.plots.style import COLOURS, HATCHES, axes
from sure_pyro.propagation import Moments


def plot_variance_shares(
    shares: pd.DataFrame,
    ax: matplotlib.axes.Axes | None = None,
    *,
    xlabel: str = "modalities hidden",
) -> matplotlib.axes.Axes:
    """Plot stacked bars of the share of the predictive variance by source.

    Parameters
    ----------
    shares : DataFrame
        One row per bar (its index names the bars), one column per source. A negative share (an
        interaction by which sources damp each other) hangs below zero.
    xlabel : str
        What the bars are.
    """
    names = [str(name) for name in shares.index]
    patterns = sum(map(len, names)) > 50  # rather than numbers: they would run into each other
    ax = axes(ax, height=7.0 if patterns else None)
    up, down = np.zeros(len(shares)), np.zeros(len(shares))
    for number, source in enumerate(shares.columns):
        share = shares[source].to_numpy(dtype=float)
        ax.bar(
            range(len(shares)),
            share,
            bottom=np.where(share >= 0, up, down),
            label=source,
            color=COLOURS[number % len(COLOURS)],
            hatch=HATCHES[number % len(HATCHES)],
            edgecolor="white",
        )
        up, down = up + share.clip(min=0), down + share.clip(max=0)
    ax.set_xticks(range(len(shares)), names)
    if patterns:
        ax.tick_params(axis="x", rotation=90, labelsize="small")
    ax.set(xlabel=xlabel, ylabel="share of the predictive variance")
    ax.legend(title="source", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def plot_source_shares(
    moments: Moments, ax: matplotlib.axes.Axes | None = None
) -> matplotlib.axes.Axes:
    """Plot the share of the variance by source, over all rows: one stacked bar per output."""
    by_source = {name: s2.detach().sum(0).cpu() for name, s2 in moments.sources.items()}  # (C,)
    total = moments.variance.detach().sum(0).cpu()
    total = total.where(total > 0, 1.0)
    shares = pd.DataFrame({name: (s2 / total).numpy() for name, s2 in by_source.items()})
    ax = plot_variance_shares(shares, ax, xlabel="output")
    ax.set_title(moments.method)
    return ax
