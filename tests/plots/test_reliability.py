import numpy as np
import pytest

from sure_pyro.metrics import confidence_bins, variance_bins
from sure_pyro.plots import plot_confidence_reliability, plot_variance_reliability


def test_right_variances_lie_on_the_diagonal(ax):
    rng = np.random.default_rng(0)
    s2 = rng.uniform(0.5, 2, 20_000)
    bins = variance_bins(s2, s2 * rng.standard_normal(20_000) ** 2, 5)
    plot_variance_reliability({"ours": bins}, ax, unit="m")
    x, y = ax.lines[1].get_xydata().T
    # 4,000 rows a bin: the rms of a chi-square has a relative error of 1/sqrt(2 * 4000) = 1.1 %.
    np.testing.assert_allclose(x, y, rtol=0.05)
    assert ax.get_xlabel() == "predicted sd, m"


def test_sd_and_not_variance_is_drawn(ax):
    bins = variance_bins(np.full(4, 4.0), np.full(4, 9.0), 1)
    plot_variance_reliability({"ours": bins}, ax)
    assert ax.lines[1].get_xydata().tolist() == [[2, 3]]


def test_zero_everywhere_still_has_axes():
    bins = variance_bins(np.zeros(3), np.zeros(3), 1)
    assert plot_variance_reliability({"ours": bins}).get_xlim()[1] == 1


def test_confidence_against_accuracy(ax):
    p = np.array([[0.8, 0.2]] * 4)
    bins = confidence_bins(p, np.array([0, 0, 0, 1]), 2)
    plot_confidence_reliability({"ours": bins}, ax)
    (container,) = ax.containers
    assert container.lines[0].get_xydata().tolist() == [[pytest.approx(0.8), 0.75]]
    low, high = container.lines[2][0].get_segments()[0][:, 1]
    # proportion_confint(3, 4, method="wilson") of statsmodels
    assert (low, high) == (pytest.approx(0.3006, abs=1e-3), pytest.approx(0.9544, abs=1e-3))


def test_new_axes():
    bins = confidence_bins(np.array([[0.8, 0.2]]), np.array([0]), 2)
    assert plot_confidence_reliability({"ours": bins}).get_xlim() == (0, 1)
