from dataclasses import replace

import pytest

from sure_pyro.report import pictures


@pytest.mark.parametrize(
    "draw",
    [
        lambda s: pictures.history_figure({n: f.history for n, f in s.models.items()}),
        lambda s: pictures.reconstructability_figure(s.evidence.targets),
        lambda s: pictures.correlation_figure(s.slices),
        lambda s: pictures.variance_reliability_figure(s.outcome, s.masked),
        lambda s: pictures.sparsification_figure(s.outcome, s.masked),
        lambda s: pictures.pit_figure(s.outcome, s.masked),
        lambda s: pictures.confidence_figure(s.outcome, s.masked),
        lambda s: pictures.risk_figure(s.outcome, s.masked),
        lambda s: pictures.shares_figure(s.slices),
        lambda s: pictures.cross_check_figure(s.outcome, s.masked),
    ],
)
def test_every_picture_has_labelled_axes(study, draw):
    axes = [ax for ax in draw(study).axes if ax.axison]
    assert axes
    for ax in axes:
        assert any(other.get_xlabel() for other in beside(ax, axes, "colspan"))
        assert ax.get_yticklabels() or any(
            other.get_ylabel() for other in beside(ax, axes, "rowspan")
        )


def beside(ax, axes, span):
    """The axes and, in a grid, the panels of its row or column: they have one scale and name."""
    own = ax.get_subplotspec()
    if own is None:
        return [ax]
    return [other for other in axes if getattr(other.get_subplotspec(), span) == getattr(own, span)]


def test_sizes_of_the_mask_are_the_series(study):
    figure = pictures.variance_reliability_figure(study.outcome, study.masked)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["right", "1 hidden", "2 hidden"]


def test_the_methods_are_the_series(study):
    figure = pictures.confidence_figure(study.outcome, study.masked)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["right", "point", "Taylor", "sampling"]


def test_regression_has_no_confidence(study):
    numbers = replace(study.outcome.observed, task="regression")
    outcome = replace(study.outcome, observed=numbers)
    assert pictures.confidence_figure(outcome, study.masked) is None
