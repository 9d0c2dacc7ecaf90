import numpy as np
import pytest
import scipy.stats

from sure_pyro.metrics import gaussian_coverage, pit, sharpness
from sure_pyro.metrics.intervals import central_interval, interval_coverage


def test_central_interval_is_that_of_scipy():
    mean, variance = np.array([0.0, 2.0]), np.array([1.0, 9.0])
    lower, upper = central_interval(mean, variance, 0.8)
    expected = scipy.stats.norm.interval(0.8, mean, np.sqrt(variance))
    np.testing.assert_allclose([lower, upper], expected)


def test_right_variances_cover_at_their_level_and_give_a_uniform_pit():
    rng = np.random.default_rng(0)
    mean, sd = rng.standard_normal(20000), rng.uniform(0.1, 3, 20000)
    y = mean + sd * rng.standard_normal(20000)
    found = gaussian_coverage(mean, sd**2, y)
    band = 4.5 * np.sqrt(found.level * (1 - found.level) / 20000)  # false alarm 7e-6 per level
    assert (np.abs(found.coverage - found.level) < band).all()
    assert scipy.stats.kstest(pit(mean, sd**2, y), "uniform").pvalue > 1e-4
    assert (np.diff(found.width) > 0).all()


def test_wrong_variances_are_rejected():
    y = np.random.default_rng(1).standard_normal(2000)
    for variance in (0.5, 2.0):
        values = pit(np.zeros(2000), np.full(2000, variance), y)
        assert scipy.stats.kstest(values, "uniform").pvalue < 1e-4


def test_coverage_counts_the_ends_and_takes_infinite_intervals():
    y = np.array([1.0, 2.0, 3.0])
    assert interval_coverage(np.ones(3), np.full(3, 2.0), y) == pytest.approx(2 / 3)
    assert interval_coverage(np.full(3, -np.inf), np.full(3, np.inf), y) == 1


def test_zero_variance_is_a_step():
    found = pit(np.zeros(3), np.zeros(3), np.array([-1.0, 0.0, 1.0]))
    assert found.tolist() == [0, 0.5, 1]


def test_widths_sharpness_and_table():
    table = gaussian_coverage(np.zeros(3), np.full(3, 4.0), np.zeros(3), (0.9,)).to_dataframe()
    assert table["width"][0] == pytest.approx(2 * 2 * scipy.stats.norm.ppf(0.95))
    assert sharpness(np.array([1.0, 7.0])) == 2


def test_bad_input_is_refused():
    one = np.ones(3)
    with pytest.raises(ValueError, match="`level` must lie strictly between 0 and 1; got 1"):
        central_interval(one, one, 1.0)
    with pytest.raises(ValueError, match=r"got \(3,\), \(3,\), \(2,\)"):
        interval_coverage(one, one, np.ones(2))
    with pytest.raises(ValueError, match="`variance` must be non-negative"):
        sharpness(-one)
