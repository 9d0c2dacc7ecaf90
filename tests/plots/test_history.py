import numpy as np
import pytest

from sure_pyro.plots import plot_correlation_history
from sure_pyro.training import History


def history(best):
    records = [
        {
            "phase": "reconstruction",
            "epoch": k,
            "validation/rho/z_a": 0.1 * k,
            "validation/rho/z_b": 0.3 * k,
            "train/rho/z_a": 9.0,
        }
        for k in range(4)
    ]
    records.append({"phase": "head", "epoch": 0, "validation/rho/y": 5.0})
    return History(records, {"reconstruction": best})


def test_mean_over_modalities_of_the_validation_rows(ax):
    plot_correlation_history({"sure": history(2), "elbo": history(-1)}, ax)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 0.2 * np.arange(4))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["sure", "elbo"]


def test_a_marker_on_the_epoch_that_was_kept(ax):
    plot_correlation_history({"sure": history(2), "elbo": history(-1)}, ax)
    marked = [line for line in ax.lines if line.get_marker() not in ("None", None)]
    assert len(marked) == 1  # epoch -1 is the start: nothing to mark
    assert marked[0].get_xdata()[0] == 2
    assert marked[0].get_ydata()[0] == pytest.approx(0.4)


def test_new_axes():
    assert plot_correlation_history({"sure": history(1)}).get_xlabel() == "epoch"
