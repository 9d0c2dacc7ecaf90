"""The picture of a comparison: six panels for one dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from sure_pyro.evaluation.observed import SCORES
from sure_pyro.metrics import METRICS
from sure_pyro.metrics.registry import ONE
from sure_pyro.plots.comparison import plot_by_hidden, plot_comparison

if TYPE_CHECKING:
    import matplotlib.axes

    from sure_pyro.compare.comparison import Comparison

PANELS = ("score", "nll", "aurc", "correlation_within", "variance_ratio")


def plot_metric(
    c: Comparison, name: str, data: str | None, ax: matplotlib.axes.Axes | None
) -> matplotlib.axes.Axes:
    """One metric of a comparison: see `Comparison.plot`."""
    task = c.tasks[c.only(data)]
    label = SCORES[task] if name == "score" else METRICS[name].title
    attainable = None
    possible = name.replace("_within", "_attainable")
    if possible != name and possible in c.metrics(data):
        attainable = c.values(possible, data).mean().dropna().to_dict()
    values = c.values(name, data).reindex(columns=list(c.models))  # a row and a colour for each
    good = 1.0 if METRICS[name].better == ONE else None
    return plot_comparison(values, ax, label=label, good=good, attainable=attainable)


def comparison_figure(c: Comparison, data: str | None = None) -> Figure:
    """Draw the main metrics of every model, and the score as modalities go missing."""
    data = c.only(data)
    shown = [name for name in PANELS if name in c.metrics(data)]
    figure = Figure(figsize=(13, 3.2 + 0.75 * len(c.models)), layout="constrained")
    panels = figure.subplots(2, 3).flat
    for name in shown:
        plot_metric(c, name, data, next(panels))
    sizes = sorted({s for k, s in c.slices(data) if k == "hidden"}, key=int)
    by_hidden = {k: c.values("score", data, "hidden", k) for k in sizes}
    plot_by_hidden(by_hidden, next(panels), label=SCORES[c.tasks[data]])
    for left in panels:
        left.remove()
    seeds = c.table["seed"].nunique()
    figure.suptitle(f"{data}: {len(c.models)} models, {seeds} seeds (small points; large: mean)")
    return figure
