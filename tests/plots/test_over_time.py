import numpy as np
import pytest

from sure_pyro.plots import plot_ratio_over_time


def test_ratio_of_moving_averages_by_hand(ax):
    predicted, observed = np.array([1.0, 2, 3, 4]), np.array([2.0, 2, 2, 4])
    plot_ratio_over_time({"a": (predicted, observed), "b": (observed, predicted)}, ax, window=2)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [2, 3, 4])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1.5 / 2, 2.5 / 2, 3.5 / 3])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [2 / 1.5, 2 / 2.5, 3 / 3.5])
    assert ax.get_yscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_a_stretch_without_an_error_is_a_gap(ax):
    plot_ratio_over_time({"a": (np.ones(3), np.array([0.0, 0, 1]))}, ax, window=2)
    assert np.isnan(ax.lines[0].get_ydata()[0])
    assert ax.lines[0].get_ydata()[1] == 2


def test_new_axes_and_bad_input():
    ok = (np.ones(300), np.ones(300))
    assert plot_ratio_over_time({"a": ok}).get_xlabel() == "rows in order of time"
    with pytest.raises(ValueError, match="`series` needs at least one series"):
        plot_ratio_over_time({})
    with pytest.raises(ValueError, match="`window` is 400 rows, and 'a' has only 300"):
        plot_ratio_over_time({"a": ok}, window=400)
    with pytest.raises(ValueError, match="`window` must be at least 1; got 0"):
        plot_ratio_over_time({"a": ok}, window=0)
