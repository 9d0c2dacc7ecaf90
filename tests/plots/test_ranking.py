import numpy as np
import pytest

from sure_pyro.metrics import risk_coverage, sparsification
from sure_pyro.plots import plot_risk_coverage, plot_sparsification


def test_the_curves_are_drawn_with_their_area(ax):
    u, loss = np.array([0.1, 0.2, 0.3]), np.array([0.0, 1.0, 0.0])
    curve = risk_coverage(u, loss)
    plot_risk_coverage({"ours": curve}, ax, loss="metres")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), curve.risk)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), curve.oracle_risk)
    assert ax.get_ylabel() == "metres"
    assert f"{curve.aurc:.3g}" in ax.get_legend().get_texts()[0].get_text()


def test_without_oracle(ax):
    curve = risk_coverage(np.arange(3.0), np.arange(3.0))
    assert len(plot_risk_coverage({"ours": curve}, ax, oracle=False).lines) == 1


@pytest.mark.parametrize("new", [False, True])
def test_sparsification(ax, new):
    curve = sparsification(np.arange(4.0), np.arange(4.0))
    drawn = plot_sparsification({"ours": curve}, None if new else ax)
    np.testing.assert_array_equal(drawn.lines[0].get_ydata(), curve.remaining)
    np.testing.assert_array_equal(drawn.lines[1].get_ydata(), curve.oracle)


def test_thresholds_are_marked_where_the_last_row_is_answered(ax):
    curve = risk_coverage(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 1.0, 0.0, 1.0]))
    cuts = {"a": 0.25, "b": -np.inf, "c": np.inf}
    plot_risk_coverage(dict.fromkeys(cuts, curve), ax, oracle=False, thresholds=cuts)
    marks = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() != "None"]
    assert marks == [[[0.5, 0.5]], [[1.0, 0.5]]]  # nothing is answered under "b"
