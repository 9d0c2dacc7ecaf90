import numpy as np
import pytest
from matplotlib.figure import Figure

from sure_pyro.plots import plot_reconstructed_curves, plot_reconstructed_images

TRUTH, MEAN, SD = (np.full((2, 3, 4), value) for value in (5.0, 4.0, 0.5))


def shown(ax):
    return ax.images[0].get_array().filled(np.nan)[:, :4]


def panels(*shape):
    return Figure(layout="constrained").subplots(*shape, squeeze=False)


def test_truth_reconstruction_and_sd_below_each_other():
    axs = panels(3, 1)
    assert plot_reconstructed_images(TRUTH, MEAN, SD, axs, limits=(0.0, 9.0), name="photo") is axs
    for ax, part in zip(axs.flat, (TRUTH, MEAN, SD), strict=True):
        np.testing.assert_array_equal(shown(ax), part[0])
    assert [ax.images[0].get_clim() for ax in axs.flat] == [(0, 9), (0, 9), (0, 0.5)]
    titles = [ax.get_title(loc="left") for ax in axs.flat]
    assert titles == ["photo: truth", "reconstruction", "standard deviation it states"]


def test_what_was_seen_gets_a_strip_and_what_was_not_a_frame():
    seen, framed = TRUTH.copy(), np.zeros(TRUTH.shape, dtype=bool)
    seen[:, :2], framed[:, :2] = np.nan, True
    axs = plot_reconstructed_images(
        TRUTH,
        MEAN,
        SD,
        panels(4, 1),
        seen=seen,
        framed=framed,
        labels=["a", "b"],
        limits=(0.0, 9.0),
    )
    assert np.isnan(shown(axs[1, 0])[:2]).all()
    assert len(axs[2, 0].lines) > 0
    assert "frame" in axs[2, 0].get_title(loc="left")
    assert [text.get_text() for text in axs[3, 0].get_xticklabels()] == ["a", "b"]


@pytest.mark.parametrize("columns", [2, 3])
def test_curves_fill_a_row_of_panels_for_each_modality(columns):
    one = (np.ones(5), np.zeros(5), np.ones(5))
    axs = panels(2, columns)
    found = plot_reconstructed_curves({"a": [one, one], "b": [one]}, axs, xlabel="step")
    assert found is axs
    assert [ax.axison for ax in axs[1]] == [True] + [False] * (columns - 1)
    names = [ax.get_ylabel() for ax in axs[:, 0]]
    assert names == ["a\n(sd of the feature)", "b\n(sd of the feature)"]
    assert axs[1, 0].get_xlabel() == "step"
    assert len(axs[0, 0].lines) == 2


def test_axes_of_their_own():
    one = (np.ones(5), np.zeros(5), np.ones(5))
    assert plot_reconstructed_images(TRUTH, MEAN, SD, limits=(0.0, 9.0)).shape == (3, 1)
    assert plot_reconstructed_curves({"a": [one, one]}).shape == (1, 2)
