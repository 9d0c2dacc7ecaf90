import numpy as np
import pytest

from sure_pyro.plots import plot_pit, plot_pit_grid


def heights(ax):
    return ax.patches[-1].get_data().values


def test_a_flat_histogram_has_density_one_and_stays_in_the_band(ax):
    values = (np.arange(1000) + 0.5) / 1000
    plot_pit(values, ax, bins=10)
    np.testing.assert_allclose(heights(ax), 1)
    low, high = ax.patches[0].get_extents().transformed(ax.transData.inverted()).intervaly
    # 95 % of binomial counts of 1000 rows in 10 bins: 100 +- 1.96 * 9.5.
    assert (low, high) == (pytest.approx(0.82, abs=0.02), pytest.approx(1.19, abs=0.02))


def test_all_below_the_median_is_a_slope(ax):
    plot_pit(np.full(20, 0.05), ax, bins=10)
    assert heights(ax).tolist() == [10, *[0] * 9]


def test_the_grid_begins_with_the_largest_pattern():
    values = np.linspace(0, 1, 30)
    pattern = np.array(["text"] * 10 + ["audio+text"] * 20)
    axs = plot_pit_grid(values, pattern)
    assert axs.shape == (1, 2)
    assert axs[0, 0].get_title() == "audio + text\N{NO-BREAK SPACE}(20)"
    assert axs[0, 1].get_title() == "text\N{NO-BREAK SPACE}(10)"


def test_axes_that_are_not_needed_are_switched_off():
    from matplotlib.figure import Figure

    axs = Figure().subplots(2, 2)
    plot_pit_grid(np.linspace(0, 1, 9), np.array(["a"] * 9), axs)
    assert [ax.axison for ax in axs.flat] == [True, False, False, False]


def test_more_patterns_than_axes_shows_the_largest():
    from matplotlib.figure import Figure

    axs = np.array([Figure().subplots()])
    plot_pit_grid(np.linspace(0, 1, 5), np.array(["a", "b", "b", "b", "c"]), axs)
    assert axs[0].get_title() == "b\N{NO-BREAK SPACE}(3)"
