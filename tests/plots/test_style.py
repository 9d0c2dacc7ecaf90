import matplotlib.colors
import numpy as np
from matplotlib.axes import Axes

from sure_pyro.plots import style


def test_given_axes_come_back_and_new_ones_are_made(ax):
    assert style.axes(ax) is ax
    assert isinstance(style.axes(None), Axes)


def test_series_differ_in_more_than_colour():
    for number in range(8):
        for other in range(number):
            a, b = style.points(number), style.points(other)
            assert a["marker"] != b["marker"]
            assert a["linestyle"] != b["linestyle"]
            assert style.HATCHES[number] != style.HATCHES[other]


def test_neighbouring_colours_differ_in_grey():
    rgb = np.array([matplotlib.colors.to_rgb(c) for c in style.COLOURS])
    luminance = rgb @ [0.299, 0.587, 0.114]
    assert np.abs(np.diff(luminance)).min() > 0.1


def test_colours_come_back_with_another_dash():
    lines = [style.line(number) for number in range(64)]
    assert all(a != b for k, a in enumerate(lines) for b in lines[:k])
    assert style.points(64) == style.points(0)
