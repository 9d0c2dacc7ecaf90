import pytest

from sure_pyro.metrics.bootstrap import Interval
from sure_pyro.metrics.reconstructed import Reconstructability
from sure_pyro.plots import plot_reconstructability

R2 = Interval(0.5, 0.3, 0.6, 0.9)
SPLIT = Reconstructability(
    R2, Interval(0.9, 0.8, 0.95, 0.9), Interval(0.0, -0.1, 0.1, 0.9), 9, "part"
)
WHOLE = Reconstructability(R2, None, None, 9, "part")


def test_an_interval_for_each_part(ax):
    plot_reconstructability({"text": SPLIT, "audio": WHOLE}, ax)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["all", "between classes", "within classes"]
    low, high = ax.containers[0].lines[2][0].get_segments()[0][:, 0]
    assert (low, high) == (pytest.approx(0.3), pytest.approx(0.6))
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # read from top to bottom, as given


def test_without_classes_there_is_one_part(ax):
    plot_reconstructability({"audio": WHOLE}, ax)
    assert len(ax.containers) == 1


def test_an_estimate_outside_its_percentile_interval_is_drawn():
    odd = Reconstructability(Interval(0.7, 0.3, 0.6, 0.9), None, None, 9, "part")
    ax = plot_reconstructability({"text": odd})
    assert ax.containers[0].lines[0].get_xdata() == [0.7]
