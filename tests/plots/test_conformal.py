import numpy as np
import pytest

from sure_pyro.calibration.arrays import ConformalIntervals
from sure_pyro.metrics import per_pattern
from sure_pyro.plots import plot_conformal_coverage


@pytest.fixture
def fitted():
    rng = np.random.default_rng(0)
    pattern = np.array(["audio"] * 200 + ["text"] * 50 + ["rare"] * 3)
    zero = np.zeros(253)
    return ConformalIntervals.fit(zero, zero + 1, rng.standard_normal(253), pattern)


def coverage(**share):
    inside = [np.arange(100) < 100 * value for value in share.values()]
    return per_pattern(
        np.mean, np.concatenate(inside).astype(float), pattern=np.repeat(list(share), 100)
    )


def bars(ax):
    return {
        round(b.get_y() + b.get_height() / 2): (b.get_x(), b.get_x() + b.get_width())
        for b in ax.patches
    }


def test_each_pattern_has_the_band_of_its_calibration_rows(ax, fitted):
    plot_conformal_coverage(coverage(audio=0.9, rare=0.5, text=0.95), fitted.guarantee(), ax)
    found = bars(ax)
    table = fitted.guarantee().set_index("pattern")
    assert set(found) == {0, 2}  # "rare" has no guarantee of its own
    for place, name in ((0, "audio"), (2, "text")):
        assert found[place] == pytest.approx(
            tuple(table.loc[name, ["one_set_low", "one_set_high"]])
        )
    assert found[2][1] - found[2][0] > found[0][1] - found[0][0]
    assert ax.containers[0].lines[0].get_xdata().tolist() == [0.9, 0.5, 0.95]
    assert ax.lines[-1].get_xdata() == [0.9, 0.9]  # wanted


def test_several_series(fitted):
    both = {"own": coverage(audio=0.9), "pooled": coverage(audio=0.8)}
    ax = plot_conformal_coverage(both, fitted.guarantee())
    labels = {text.get_text() for text in ax.get_legend().get_texts()}
    assert labels == {"own", "pooled", "wanted", "nine calibration sets in ten"}


def test_a_guarantee_that_counts_groups_has_no_band(ax):
    rng, zero = np.random.default_rng(0), np.zeros(200)
    pattern, groups = np.full(200, "audio"), np.arange(200) % 20
    whole = ConformalIntervals.fit(zero, zero + 1, rng.standard_normal(200), pattern, groups=groups)
    plot_conformal_coverage(coverage(audio=0.9), whole.guarantee(), ax)
    assert not bars(ax)
    labels = {text.get_text() for text in ax.get_legend().get_texts()}
    assert labels == {"new rows", "wanted"}
