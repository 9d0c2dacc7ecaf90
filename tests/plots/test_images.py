import numpy as np

from sure_pyro.plots import plot_images


def strip(ax):
    return np.asarray(ax.images[0].get_array().filled(np.nan))


def test_images_stand_side_by_side(ax):
    images = np.arange(12.0).reshape(2, 2, 3)
    assert plot_images(images, ax) is ax
    shown = strip(ax)
    np.testing.assert_array_equal(shown[:, :3], images[0])
    np.testing.assert_array_equal(shown[:, 4:], images[1])
    assert np.isnan(shown[:, 3]).all()


def test_one_scale_for_all_or_that_given(ax):
    images = np.stack([np.zeros((2, 2)), np.full((2, 2), 5.0)])
    assert plot_images(images, ax).images[0].get_clim() == (0, 5)
    assert plot_images(images, ax, limits=(-1.0, 9.0)).images[-1].get_clim() == (-1, 9)


def test_what_was_not_seen_is_hatched_pixel_by_pixel(ax):
    images = np.zeros((1, 2, 2))
    images[0, 0] = np.nan
    assert len(plot_images(images, ax).patches) == 2


def test_the_frame_follows_the_border(ax):
    framed = np.zeros((1, 4, 4), dtype=bool)
    framed[0, :2, :2] = True
    lines = plot_images(np.zeros((1, 4, 4)), ax, framed=framed, limits=(0.0, 1.0)).lines
    assert len(lines) == 8  # two pixels on each of four sides
    ends = np.array([[*line.get_xdata(), *line.get_ydata()] for line in lines])
    assert ends.min() == -0.5
    assert ends.max() == 1.5


def test_labels_and_unit(ax):
    plot_images(np.zeros((2, 2, 2)), ax, labels=["a", "b"], limits=(0.0, 1.0), unit="grey")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "b"]
    assert ax.figure.axes[-1].get_ylabel() == "grey"
