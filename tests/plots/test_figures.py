import matplotlib.image
import numpy as np

from sure_pyro.plots import plot_band, plot_pit_grid
from sure_pyro.plots.figures import DPI, figure_of, png


def test_a_figure_of_one_plot():
    mean = np.zeros(3)
    figure = figure_of(plot_band, None, mean, mean + 1, size=(5.0, 3.0), xlabel="step")
    assert figure.get_size_inches().tolist() == [5, 3]
    assert [ax.get_xlabel() for ax in figure.axes] == ["step"]


def test_a_figure_of_panels_with_one_scale():
    values = np.linspace(0, 1, 40)
    pattern = np.repeat(["a", "b", "c"], [20, 15, 5])
    figure = figure_of(plot_pit_grid, values, pattern, grid=(2, 2), share_y="all")
    assert len([ax for ax in figure.axes if ax.axison]) == 3
    assert len({ax.get_ylim() for ax in figure.axes if ax.axison}) == 1


def test_a_file_of_as_many_pixels(tmp_path):
    mean = np.zeros(3)
    file = tmp_path / "band.png"
    file.write_bytes(png(figure_of(plot_band, None, mean, mean + 1, size=(4.0, 2.0))))
    assert matplotlib.image.imread(file).shape[:2] == (2 * DPI, 4 * DPI)
