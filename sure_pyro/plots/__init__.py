"""Pictures: matplotlib axes in, axes out.

Every function takes ``ax=None`` (then a new figure is made) and returns the axes. Series differ in
marker, dash or hatch as well as in colour, so that they can be told apart in grey print and by
colour-blind eyes. Nothing global is changed: no style, no backend.
"""

from sure_pyro.plots.band import plot_band
from sure_pyro.plots.comparison import (
    comparison_figure,
    plot_by_hidden,
    plot_comparison,
    plot_metric,
)
from sure_pyro.plots.conformal import plot_conformal_coverage
from sure_pyro.plots.correlations import plot_correlations
from sure_pyro.plots.coverage import plot_coverage, plot_width
from sure_pyro.plots.cross_check import plot_cross_check, plot_nonlinearity
from sure_pyro.plots.deferral import plot_deferral
from sure_pyro.plots.history import plot_correlation_history
from sure_pyro.plots.images import plot_images
from sure_pyro.plots.over_time import plot_ratio_over_time
from sure_pyro.plots.panels import plot_panels
from sure_pyro.plots.patterns import plot_by_pattern, plot_variance_ratio
from sure_pyro.plots.pit import plot_pit, plot_pit_grid
from sure_pyro.plots.ranking import plot_risk_coverage, plot_sparsification
from sure_pyro.plots.reconstructability import plot_reconstructability
from sure_pyro.plots.reconstructions import plot_reconstructed_curves, plot_reconstructed_images
from sure_pyro.plots.reliability import plot_confidence_reliability, plot_variance_reliability
from sure_pyro.plots.shares import plot_source_shares, plot_variance_shares
from sure_pyro.plots.shrinkage import plot_shrinkage

__all__ = [
    # what was reconstructed
    "plot_images",
    "plot_band",
    "plot_reconstructed_images",
    "plot_reconstructed_curves",
    "plot_reconstructability",
    # whether its uncertainty is right
    "plot_variance_reliability",
    "plot_confidence_reliability",
    "plot_pit",
    "plot_pit_grid",
    "plot_coverage",
    "plot_width",
    "plot_by_pattern",
    "plot_variance_ratio",
    "plot_shrinkage",
    "plot_conformal_coverage",
    "plot_ratio_over_time",
    # whether it ranks
    "plot_risk_coverage",
    "plot_sparsification",
    "plot_correlations",
    "plot_deferral",
    # any of these, once for each mask pattern
    "plot_panels",
    # training and propagation
    "plot_correlation_history",
    "plot_variance_shares",
    "plot_source_shares",
    "plot_cross_check",
    "plot_nonlinearity",
    # models side by side
    "plot_comparison",
    "plot_by_hidden",
    "plot_metric",
    "comparison_figure",
]
