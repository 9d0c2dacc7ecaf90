import numpy as np
import pandas as pd
import pytest

from sure_pyro.plots import plot_by_pattern, plot_variance_ratio
from sure_pyro.plots.patterns import label_of, wilson

BEFORE = pd.DataFrame(
    {
        "pattern": ["overall", "audio", "text"],
        "value": [1.0, 0.5, 2.0],
        "lower": [0.9, 0.4, 1.5],
        "upper": [1.1, 0.7, 2.5],
        "rows": [30, 10, 20],
    }
)
AFTER = BEFORE.assign(value=1.0)[::-1]


def ends(container):
    return [segment[:, 0].tolist() for segment in container.lines[2][0].get_segments()]


def test_values_and_intervals_in_the_order_of_the_first_series(ax):
    plot_by_pattern({"before": BEFORE, "after": AFTER}, ax, xlabel="ratio", reference=1.0)
    before, after = ax.containers
    assert before.lines[0].get_xdata().tolist() == [1.0, 0.5, 2.0]
    np.testing.assert_allclose(ends(before), BEFORE[["lower", "upper"]].to_numpy())
    assert after.lines[0].get_xdata().tolist() == [1.0, 1.0, 1.0]
    assert ends(after)[1] == [0.4, 1.0]  # an interval that does not hold its estimate
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == [
        "overall\N{NO-BREAK SPACE}(30)",
        "audio\N{NO-BREAK SPACE}(10)",
        "text\N{NO-BREAK SPACE}(20)",
    ]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # from top to bottom
    assert before.lines[0].get_marker() != after.lines[0].get_marker()


def test_a_pattern_that_a_series_lacks_has_no_dot(ax):
    plot_by_pattern({"a": BEFORE, "b": BEFORE[:2]}, ax, xlabel="x")
    assert np.isnan(ax.containers[1].lines[0].get_xdata()[2])


def test_without_intervals_and_rows():
    ax = plot_by_pattern({"a": BEFORE[["pattern", "value"]]}, xlabel="m")
    assert ends(ax.containers[0])[1] == [0.5, 0.5]
    assert ax.get_yticklabels()[0].get_text() == "overall"
    assert ax.get_legend() is None  # one series needs none


def test_a_ratio_is_on_a_logarithmic_axis_with_a_band(ax):
    plot_variance_ratio({"before": BEFORE}, ax)
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "predicted / actual variance"
    band = ax.patches[0].get_extents().transformed(ax.transData.inverted()).intervalx
    np.testing.assert_allclose(band, [0.9, 1.1])


def test_long_patterns_are_broken_and_keep_their_number():
    label = label_of("top_left+top_right+bottom_left", 7, width=20)
    assert label.split("\n") == ["top_left + top_right", "+ bottom_left\N{NO-BREAK SPACE}(7)"]


def test_wilson():
    low, high = wilson(np.array([0.75, 0.0]), np.array([4, 0]))
    # proportion_confint(3, 4, method="wilson") of statsmodels
    assert (low[0], high[0]) == (pytest.approx(0.3006, abs=1e-3), pytest.approx(0.9544, abs=1e-3))
    assert np.isnan([low[1], high[1]]).all()


def test_errors(ax):
    with pytest.raises(ValueError, match=r"`tables\['a'\]` needs.*\['value'\] not among"):
        plot_by_pattern({"a": BEFORE[["pattern", "rows"]]}, ax, xlabel="x")
    with pytest.raises(ValueError, match="at least one series"):
        plot_by_pattern({}, ax, xlabel="x")
