import matplotlib.image
import numpy as np
import pytest

from sure_pyro.plots.figures import figure_of
from sure_pyro.report.examples import Images
from sure_pyro.report.pictures import curves_picture, digits_picture, image_picture, pictures
from sure_pyro.report.sections import PICTURES

NAMES = [
    "examples",
    "reconstructability",
    "correlation_epochs",
    "correlations",
    "reliability_variance",
    "pit",
    "sparsification",
    "reliability_confidence",
    "risk_coverage",
    "variance_shares",
    "cross_check",
]


@pytest.fixture(scope="module")
def drawn(study):
    """Every picture of a report as a figure, by name."""
    return {p.name: figure_of(p.plot, *p.data, **p.options) for p in pictures(study)}


def test_every_picture_of_the_page_is_there_in_order(drawn):
    assert list(drawn) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_has_labelled_axes(drawn, name):
    axes = [ax for ax in drawn[name].axes if ax.axison]
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


def legend(figure):
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_sizes_of_the_mask_are_the_series(drawn):
    assert legend(drawn["reliability_variance"]) == ["right", "1 hidden", "2 hidden"]


def test_the_methods_are_the_series(drawn):
    assert legend(drawn["reliability_confidence"]) == ["right", "point", "Taylor", "sampling"]


IMAGES = Images(np.ones((2, 8, 8)), np.zeros((2, 8, 8)), np.full((2, 8, 8), 2.0), ["a", "b"])


@pytest.mark.parametrize(
    ("picture", "panels"),
    [
        (digits_picture(2, Images(**{**vars(IMAGES), "seen": IMAGES.truth})), 4),
        (image_picture("photo", IMAGES), 3),
        (curves_picture({"sound": [(np.ones(5), np.zeros(5), np.ones(5))]}, "time step"), 3),
    ],
)
def test_examples_are_drawn_into_a_grid_and_a_file(picture, panels, tmp_path):
    assert any(picture.name.startswith(name) for name in PICTURES)
    figure = figure_of(picture.plot, *picture.data, **picture.options)
    assert len([ax for ax in figure.axes if ax.get_subplotspec() is not None]) >= panels
    (tmp_path / picture.file).write_bytes(picture.png())
    width = matplotlib.image.imread(tmp_path / picture.file).shape[1]
    assert width == 990  # nine inches
