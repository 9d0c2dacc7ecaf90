import numpy as np
import pandas as pd
import pytest
import scipy.stats

from sure_pyro.comparison.paired import paired_difference, ranks
from sure_pyro.metrics import METRICS


def test_the_interval_is_that_of_a_paired_t_test():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6))
    expected = scipy.stats.ttest_rel(a, b).confidence_interval(0.9)
    found = paired_difference(a, b)
    assert found.estimate == pytest.approx(np.mean(a - b))
    assert (found.lower, found.upper) == pytest.approx(tuple(expected))


def test_one_seed_is_no_certainty_and_missing_seeds_are_left_out():
    one = paired_difference(np.array([1.0, np.nan]), np.array([0.5, 2.0]))
    assert (one.estimate, one.lower, one.upper) == (0.5, -np.inf, np.inf)
    assert np.isnan(paired_difference(np.array([np.nan]), np.array([1.0])).estimate)


def test_a_seed_in_which_both_are_infinite_is_left_out_without_a_warning():
    a, b = np.array([np.inf, 3.0, 2.0]), np.array([np.inf, 1.0, 1.0])
    assert paired_difference(a, b).estimate == 1.5


def test_equal_models_differ_by_more_than_noise_as_seldom_as_promised():
    rng = np.random.default_rng(1)
    found = [paired_difference(*rng.normal(size=(2, 3))) for _ in range(2000)]
    outside = np.mean([x.lower > 0 or x.upper < 0 for x in found])
    assert outside == pytest.approx(0.1, abs=4 * (0.09 / 2000) ** 0.5)  # false alarm 1 in 16,000


def frame(**values):
    return pd.DataFrame({name: np.array(v, dtype=float) for name, v in values.items()})


def test_ranks_leave_open_what_noise_leaves_open():
    noise = np.array([0.0, 0.1, 0.2])
    values = frame(a=0.9 + noise, b=0.901 + noise[::-1], c=0.3 + noise, d=[np.nan] * 3)
    table = ranks(values, METRICS["score"])
    assert list(table.index) == ["b", "a", "c"]
    assert table.loc["c", ["best", "worst"]].tolist() == [2, 3] or table.loc["c", "best"] == 3
    assert table.loc["a", "within_noise"]
    assert table.loc["a", "best"] == 1
    steady = ranks(frame(a=0.9 + noise, c=0.3 + noise + 1e-3 * noise[::-1]), METRICS["score"])
    assert steady[["best", "worst"]].to_numpy().tolist() == [[1, 1], [2, 2]]
    assert not steady.loc["c", "within_noise"]
