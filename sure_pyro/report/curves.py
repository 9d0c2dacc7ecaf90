"""What the pictures of a report show, as plain data: bins, curves and tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Shaped

from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.evaluation.slices import RANDOM, hidden_slices
from sure_pyro.metrics import confidence_bins, pit, risk_coverage, sparsification, variance_bins
from sure_pyro.metrics.reliability import Bins
from sure_pyro.metrics.risk_curves import RiskCoverage
from sure_pyro.metrics.sparsification_curves import Sparsification
from sure_pyro.propagation import cross_check
from sure_pyro.propagation.check import CrossCheck
from sure_pyro.report.evidence import METHOD_NAMES, Slice
from sure_pyro.report.measure import Outcome

BINS = 10
PATTERNS = 8  # that get a histogram of their own


def correlations(slices: Mapping[str, Slice]) -> pd.DataFrame:
    """Reached and attainable correlations: a line for each size of the mask."""
    lines = {
        name: {
            "within masks": s.uncertainty.within,
            "attainable": s.uncertainty.attainable,
            "attainable, independent errors": s.uncertainty.attainable_independent,
            "pooled": s.uncertainty.pooled,
        }
        for name, s in slices.items()
        if s.uncertainty and name != RANDOM
    }
    return pd.DataFrame(lines).T


def variance_reliability(outcome: Outcome, masked: MaskedRows) -> dict[str, Bins]:
    """Predicted sd against actual error of the reconstruction, by size of the mask."""
    return {name: variance_bins(u, e, BINS) for name, (u, e) in _pairs(outcome, masked).items()}


def sparsifications(outcome: Outcome, masked: MaskedRows) -> dict[str, Sparsification]:
    """Remaining reconstruction error as uncertain rows are taken out, by size of the mask."""
    return {name: sparsification(u, e) for name, (u, e) in _pairs(outcome, masked).items()}


def pit_by_pattern(
    outcome: Outcome, masked: MaskedRows
) -> tuple[Float[np.ndarray, " n"], Shaped[np.ndarray, " n"]]:
    """PIT of the latent entries, and the mask pattern of each."""
    values, patterns = [], []
    for h in outcome.hidden.values():
        values.append(pit(h.loc, np.square(h.sigma), h.truth).ravel())
        patterns.append(np.repeat(masked.pattern[h.where], h.truth.shape[1]))
    return np.concatenate(values), np.concatenate(patterns)


def confidence(outcome: Outcome, masked: MaskedRows) -> dict[str, Bins]:
    """Probability of the predicted class against its accuracy, by method; empty without classes."""
    if outcome.observed.task != "classification":
        return {}
    rows = hidden_slices(masked)[RANDOM]
    observed, bins = outcome.observed[rows], {}
    for method, name in METHOD_NAMES.items():
        p = outcome.predicted[method][rows].probability
        assert p is not None
        bins[name] = confidence_bins(p, observed.target, BINS)
    return bins


def risks(outcome: Outcome, masked: MaskedRows) -> dict[str, RiskCoverage]:
    """Risk and coverage over random masks, by method."""
    rows, curves = hidden_slices(masked)[RANDOM], {}
    observed = outcome.observed[rows]
    for method, name in METHOD_NAMES.items():
        predicted = outcome.predicted[method][rows]
        u = observed.uncertainty(predicted)
        assert u is not None
        curves[name] = risk_coverage(u, observed.loss(predicted))
    return curves


def shares(slices: Mapping[str, Slice]) -> pd.DataFrame:
    """Share of the predictive variance by source: a line for each size of the mask."""
    lines = {name: dict(s.propagation.shares) for name, s in slices.items() if name != RANDOM}
    return pd.DataFrame(lines).T


def checked(outcome: Outcome, masked: MaskedRows) -> CrossCheck:
    """Taylor against sampling, over random masks."""
    rows = torch.from_numpy(np.flatnonzero(hidden_slices(masked)[RANDOM]))
    moments = outcome.prediction.moments
    return cross_check(moments["taylor"][rows], moments["sampling"][rows])


def _pairs(outcome: Outcome, masked: MaskedRows) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Variance and squared error of every row, averaged over its latent entries, by mask size."""
    x, where = outcome.pairs.arrays, outcome.pairs.where
    return {
        f"{name} hidden": (x["u"][rows[where]], x["e"][rows[where]])
        for name, rows in hidden_slices(masked).items()
        if name != RANDOM and rows[where].any()
    }
