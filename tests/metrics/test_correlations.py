import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sure_pyro.metrics import correlation, row_pair, within_pattern_correlation

REFERENCE = {
    "pearson": scipy.stats.pearsonr,
    "spearman": scipy.stats.spearmanr,
    "kendall": scipy.stats.kendalltau,
}


@pytest.mark.parametrize("method", REFERENCE)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_agrees_with_scipy(method, dtype):
    u, e = np.random.default_rng(0).integers(0, 20, (2, 60)).astype(dtype)  # with ties
    expected = REFERENCE[method](u.astype(float), e.astype(float)).statistic
    assert correlation(u, e, method=method) == pytest.approx(expected, abs=1e-12)


vectors = hnp.arrays(
    np.float64, 12, elements=st.floats(-10, 10, allow_subnormal=False), unique=True
)


@given(vectors, vectors, st.floats(0.1, 100), st.floats(-50, 50))
def test_sees_neither_scale_nor_offset_and_stays_in_range(u, e, b, a):
    if min(u.std(), e.std()) < 1e-3:
        return
    rho = correlation(u, e)
    assert correlation(a + b * u, e) == pytest.approx(rho, abs=1e-6)
    assert correlation(e, u) == pytest.approx(rho, abs=1e-12)
    assert -1 <= rho <= 1


@pytest.mark.parametrize("method", REFERENCE)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e-300, 3e8])
def test_constant_input_gives_zero(method, value):
    u, e = np.full(50, value), np.random.default_rng(0).random(50)
    assert correlation(u, e, method=method) == 0
    assert correlation(e, u, method=method) == 0
    assert correlation(u[:1], e[:1], method=method) == 0


def test_tiny_and_huge_numbers_neither_vanish_nor_overflow():
    u, e = np.random.default_rng(0).random((2, 30))
    assert correlation(1e-200 * u, 1e200 * e) == pytest.approx(correlation(u, e))


def test_within_sees_through_simpsons_paradox():
    rng = np.random.default_rng(1)
    pattern = np.repeat(["few", "many"], 500)
    level = np.where(pattern == "few", 5.0, 1.0)
    u, e = level + rng.random(1000), level + rng.random(1000)
    assert correlation(u, e) > 0.9
    within = within_pattern_correlation(u, e, pattern)
    # sd of the average of two estimates at no correlation: 1/sqrt(1000); 4 sd, false alarm 6e-5.
    assert abs(float(within)) < 4 / np.sqrt(1000)
    assert float(within.table) == pytest.approx(correlation(u, e))
    assert correlation(u, e, group=pattern) == pytest.approx(float(within))


def test_average_is_weighted_by_rows_and_rare_patterns_are_left_out():
    rng = np.random.default_rng(2)
    u, e = rng.random((2, 60))
    pattern = np.repeat([0, 1, 2], [40, 15, 5])
    found = within_pattern_correlation(u, e, pattern, minimum_rows=10)
    by_hand = [np.corrcoef(u[pattern == k], e[pattern == k])[0, 1] for k in (0, 1)]
    assert float(found) == pytest.approx(np.average(by_hand, weights=[40, 15]))
    assert (found.rows, found.patterns, found.dropped_rows) == (55, 2, 5)
    assert np.isnan(found.table[2])


def test_target_splits_a_pattern():
    u = np.concatenate([np.arange(20.0), np.arange(20.0)])
    e = np.concatenate([np.arange(20.0), -np.arange(20.0)])
    pattern, target = np.full(40, "text"), np.repeat(["audio", "video"], 20)
    assert float(within_pattern_correlation(u, e, pattern)) == pytest.approx(0)
    found = within_pattern_correlation(u, e, pattern, target)
    assert found.table["text -> audio"] == pytest.approx(1)
    assert found.table["text -> video"] == pytest.approx(-1)


def test_no_pattern_with_enough_rows_gives_zero_on_zero_rows():
    found = within_pattern_correlation(np.arange(4.0), np.arange(4.0), np.arange(4))
    assert (float(found), found.rows, found.dropped_rows) == (0.0, 0, 4)


def test_row_pair_averages_over_entries():
    u, e = row_pair(np.array([[1.0, 3.0]]), np.array([[2.0, 0.0]]))
    assert u.tolist() == [5.0]
    assert e.tolist() == [2.0]


def test_bad_input_is_refused():
    x = np.ones(3)
    with pytest.raises(ValueError, match=r"of one shape; got `u` \(3,\), `e` \(4,\)"):
        correlation(x, np.ones(4))
    with pytest.raises(ValueError, match=r"`e` has NaN or infinity in 1 rows \(first: \[1\]\)"):
        correlation(x, np.array([1.0, np.nan, 2.0]))
    with pytest.raises(ValueError, match=r"`u` is empty, shape \(0,\)"):
        correlation(np.ones(0), np.ones(0))
    with pytest.raises(ValueError, match=r"`method` must be one of .*; got 'cosine'"):
        correlation(x, x, method="cosine")
    with pytest.raises(ValueError, match="`minimum_rows` must be at least 2; got 1"):
        within_pattern_correlation(x, x, np.zeros(3, dtype=int), minimum_rows=1)
