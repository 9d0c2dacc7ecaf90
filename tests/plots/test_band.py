import numpy as np
import pytest

from sure_pyro.plots import plot_band


@pytest.mark.parametrize("width", [1.0, 2.0])
def test_the_band_is_mean_and_sd(ax, width):
    mean, sd = np.array([0.0, 1.0, 2.0]), np.array([1.0, 0.5, 0.0])
    plot_band(mean, mean, sd, ax, width=width, xlabel="step", ylabel="m/s")
    corners = ax.collections[0].get_paths()[0].vertices
    assert corners[:, 1].min() == -width
    assert corners[:, 1].max() == 2.0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "m/s")


def test_without_truth_there_are_no_points(ax):
    mean = np.zeros(3)
    assert len(plot_band(None, mean, mean + 1, ax).lines) == 1
    assert len(plot_band(mean, mean, mean + 1).lines) == 2
