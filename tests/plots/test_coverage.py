import numpy as np

from sure_pyro.metrics import gaussian_coverage
from sure_pyro.plots import plot_coverage, plot_width

RNG = np.random.default_rng(0)
ZERO, TARGET = np.zeros(4000), RNG.standard_normal(4000)
RIGHT, NARROW = (gaussian_coverage(ZERO, ZERO + s2, TARGET) for s2 in (1.0, 0.25))


def inside(ax, number):
    """Whether every point of a series lies in the band of chance."""
    curve = ax.lines[number]
    band = ax.collections[0].get_paths()[0]
    return all(band.contains_point(point) for point in curve.get_xydata())


def test_right_intervals_lie_in_the_band_and_narrow_ones_below(ax):
    # 95 % each, nested levels: with this seed all four do.
    plot_coverage({"right": RIGHT, "narrow": NARROW}, ax, rows=4000)
    assert ax.lines[1].get_ydata().tolist() == RIGHT.coverage.tolist()
    assert inside(ax, 1)
    assert not inside(ax, 2)
    assert (ax.lines[2].get_ydata() < ax.lines[2].get_xdata()).all()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["right, within chance", "right", "narrow"]


def test_without_rows_there_is_no_band():
    ax = plot_coverage({"right": RIGHT})
    assert not ax.collections
    assert ax.get_legend().get_texts()[0].get_text() == "right"


def test_width_over_the_coverage_that_was_reached(ax):
    plot_width({"narrow": NARROW}, ax, unit="m")
    assert ax.lines[0].get_xdata().tolist() == NARROW.coverage.tolist()
    assert ax.lines[0].get_ydata().tolist() == NARROW.width.tolist()
    assert ax.get_ylabel() == "mean width, m"
    assert plot_width({"narrow": NARROW}).get_ylim()[0] == 0
