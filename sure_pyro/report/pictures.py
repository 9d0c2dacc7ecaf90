"""The pictures of a report, as figures that no window and no backend is needed for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import matplotlib.axes
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.evaluation.observed import LOSSES
from sure_pyro.evaluation.slices import RANDOM, hidden_slices
from sure_pyro.metrics import confidence_bins, pit, risk_coverage, sparsification, variance_bins
from sure_pyro.metrics.reconstructed import Reconstructability
from sure_pyro.plots import (
    plot_confidence_reliability,
    plot_correlation_history,
    plot_correlations,
    plot_cross_check,
    plot_pit_grid,
    plot_reconstructability,
    plot_risk_coverage,
    plot_sparsification,
    plot_variance_reliability,
    plot_variance_shares,
)
from sure_pyro.propagation import cross_check
from sure_pyro.report.evidence import Slice
from sure_pyro.report.measure import Outcome

METHOD_NAMES = {"none": "point", "taylor": "Taylor", "sampling": "sampling"}
BINS = 10
PATTERNS = 8  # that get a histogram of their own


def history_figure(histories: Mapping) -> Figure:
    """Correlation over epochs, by objective."""
    return _one(lambda ax: plot_correlation_history(histories, ax))


def reconstructability_figure(targets: Mapping[str, Reconstructability]) -> Figure:
    """R^2 of every modality with its interval."""
    height = 1.6 + 0.5 * len(targets)
    return _one(lambda ax: plot_reconstructability(targets, ax), height=height)


def correlation_figure(slices: Mapping[str, Slice]) -> Figure:
    """Reached and attainable correlations, by size of the mask."""
    found = {name: s.uncertainty for name, s in slices.items() if s.uncertainty and name != RANDOM}
    table = pd.DataFrame(
        {
            name: {
                "within masks": u.within,
                "attainable": u.attainable,
                "attainable, independent errors": u.attainable_independent,
                "pooled": u.pooled,
            }
            for name, u in found.items()
        }
    ).T
    return _one(lambda ax: plot_correlations(table, ax))


def variance_reliability_figure(outcome: Outcome, masked: MaskedRows) -> Figure:
    """Predicted sd against actual error of the reconstruction, by size of the mask."""
    bins = {
        f"{name} hidden": variance_bins(sigma2, error, BINS)
        for name, (sigma2, error) in _row_pairs(outcome, masked).items()
    }
    return _one(lambda ax: plot_variance_reliability(bins, ax), height=5.0)


def sparsification_figure(outcome: Outcome, masked: MaskedRows) -> Figure:
    """Remaining reconstruction error as uncertain rows are taken out, by size of the mask."""
    curves = {
        f"{name} hidden": sparsification(sigma2, error)
        for name, (sigma2, error) in _row_pairs(outcome, masked).items()
    }
    return _one(lambda ax: plot_sparsification(curves, ax))


def pit_figure(outcome: Outcome, masked: MaskedRows) -> Figure:
    """PIT of the latent entries, for the mask patterns with most rows."""
    values, patterns = [], []
    for h in outcome.hidden.values():
        values.append(pit(h.loc, np.square(h.sigma), h.truth).ravel())
        patterns.append(np.repeat(masked.pattern[h.where], h.truth.shape[1]))
    pattern = np.concatenate(patterns)
    n = min(PATTERNS, len(np.unique(pattern)))
    figure = Figure(figsize=(9, 2.2 * -(-n // 4)), layout="constrained")
    axs = figure.subplots(-(-n // 4), min(n, 4), squeeze=False, sharey=True)
    plot_pit_grid(np.concatenate(values), pattern, axs)
    return figure


def confidence_figure(outcome: Outcome, masked: MaskedRows) -> Figure | None:
    """Probability of the predicted class against its accuracy, by method; None without classes."""
    if outcome.observed.task != "classification":
        return None
    rows = hidden_slices(masked)[RANDOM]
    observed, bins = outcome.observed[rows], {}
    for method, name in METHOD_NAMES.items():
        p = outcome.predicted[method][rows].probability
        assert p is not None
        bins[name] = confidence_bins(p, observed.target, BINS)
    return _one(lambda ax: plot_confidence_reliability(bins, ax), height=5.0)


def risk_figure(outcome: Outcome, masked: MaskedRows) -> Figure:
    """Risk-coverage over random masks, by method."""
    rows, curves = hidden_slices(masked)[RANDOM], {}
    observed = outcome.observed[rows]
    for method, name in METHOD_NAMES.items():
        predicted = outcome.predicted[method][rows]
        u = observed.uncertainty(predicted)
        assert u is not None
        curves[name] = risk_coverage(u, observed.loss(predicted))
    loss = LOSSES[observed.task]
    return _one(lambda ax: plot_risk_coverage(curves, ax, loss=loss))


def shares_figure(slices: Mapping[str, Slice]) -> Figure:
    """Share of the predictive variance by source, by size of the mask."""
    table = pd.DataFrame(
        {name: dict(s.propagation.shares) for name, s in slices.items() if name != RANDOM}
    ).T
    return _one(lambda ax: plot_variance_shares(table, ax))


def cross_check_figure(outcome: Outcome, masked: MaskedRows) -> Figure:
    """Standard deviations by Taylor against those by sampling, over random masks."""
    rows = torch.from_numpy(np.flatnonzero(hidden_slices(masked)[RANDOM]))
    taylor, sampled = (
        outcome.prediction.moments[method][rows] for method in ("taylor", "sampling")
    )
    return _one(lambda ax: plot_cross_check(cross_check(taylor, sampled), ax), height=5.0)


def _row_pairs(outcome: Outcome, masked: MaskedRows) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Variance and squared error of every row, averaged over its latent entries, by mask size."""
    x, where = outcome.pairs.arrays, outcome.pairs.where
    return {
        name: (x["u"][rows[where]], x["e"][rows[where]])
        for name, rows in hidden_slices(masked).items()
        if name != RANDOM and rows[where].any()
    }


def _one(draw: Callable[[matplotlib.axes.Axes], object], height: float = 4.2) -> Figure:
    figure = Figure(figsize=(7, height), layout="constrained")
    draw(figure.subplots())
    return figure
