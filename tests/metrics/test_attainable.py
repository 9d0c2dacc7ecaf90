import numpy as np
import pytest

from sure_pyro.metrics import (
    attainable_correlation,
    correlation,
    row_pair,
    within_pattern_correlation,
)
from sure_pyro.metrics.attainable import attainable_by_pattern


def test_calibrated_single_entries_reach_the_known_value():
    # sigma^2 ~ U(0.1, 1): Var(u) = 0.0675 and 2 E sigma^4 = 0.74, so rho = 0.289.
    sigma = np.sqrt(np.linspace(0.1, 1, 4001))[:, None]
    found = attainable_correlation(sigma, version="independent", repetitions=200)
    assert found.large_sample == pytest.approx(np.sqrt(0.0675 / 0.8075), abs=1e-3)
    assert float(found) == pytest.approx(found.large_sample, abs=5 * found.spread / np.sqrt(200))


@pytest.mark.parametrize("D", [1, 4, 50])
def test_formula_and_simulation_meet(D):
    sigma = np.random.default_rng(D).uniform(0.3, 1, (3000, D)) ** 2
    found = attainable_correlation(sigma, version="independent", repetitions=100, seed=D)
    # 5 standard errors of the mean (6e-7) plus the O(1/N) bias of a sample correlation.
    assert float(found) == pytest.approx(found.large_sample, abs=found.spread / 2 + 1 / 3000)


def calibrated(shared, rows=1500, D=20, seed=0):
    """Right variances; a share of each row's error is one factor common to all its entries."""
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.5, 1.5, (rows, 1)) * rng.uniform(0.8, 1.2, (rows, D))
    noise = np.sqrt(1 - shared) * rng.standard_normal((rows, D))
    common = np.sqrt(shared) * rng.standard_normal((rows, 1))
    return sigma, sigma * (noise + common), rng.integers(0, 3, rows)


@pytest.mark.parametrize("shared", [0.0, 0.6])
def test_reached_over_resampled_is_one_where_the_variances_are_right(shared):
    sigma, residual, pattern = calibrated(shared)
    reached = within_pattern_correlation(*row_pair(sigma, residual), pattern)
    found = attainable_correlation(sigma, residual, pattern)
    assert abs(float(reached) - float(found)) < 4 * found.spread  # false alarm about 1e-4


def test_independent_is_the_upper_end_where_entries_err_together():
    sigma, residual, pattern = calibrated(shared=0.6)
    resampled = attainable_correlation(sigma, residual, pattern, repetitions=20)
    independent = attainable_correlation(
        sigma, pattern=pattern, version="independent", repetitions=20
    )
    assert float(independent) > float(resampled) + 0.2


def test_ratio_tells_too_little_spread_and_noise():
    sigma, residual, pattern = calibrated(shared=0.0)
    little = 1 + 0.2 * (sigma - 1)  # spreads too little
    noise = sigma * np.random.default_rng(1).lognormal(0, 0.5, (len(sigma), 1))
    for wrong, sign in ((little, 1), (noise, -1)):
        reached = within_pattern_correlation(*row_pair(wrong, residual), pattern)
        found = attainable_correlation(wrong, residual, pattern, repetitions=20)
        assert sign * (float(reached) / float(found) - 1) > 0.2


def test_does_not_see_the_scale_of_the_residuals():
    sigma, residual, pattern = calibrated(shared=0.3)
    a, b = (attainable_correlation(sigma, c * residual, pattern, repetitions=5) for c in (1, 7))
    assert float(a) == pytest.approx(float(b))


def test_residual_rows_come_from_other_rows_of_the_same_pattern():
    # Two patterns with residuals of one size each: exchanged across patterns, errors would vary.
    pattern = np.repeat([0, 1], 10)
    residual = np.where(pattern == 0, 1.0, 5.0)[:, None]
    found = attainable_correlation(np.ones((20, 1)), residual, pattern, repetitions=3)
    assert (float(found), found.patterns, found.rows) == (0.0, 2, 20)
    # Two rows can only swap: with |z| = (1, 2) and sigma = (1, 10), e = (4, 100) in every draw.
    sigma = np.array([[1.0], [10.0]])
    swapped = attainable_correlation(
        sigma, np.array([[1.0], [20.0]]), minimum_rows=2, repetitions=3
    )
    assert (float(swapped), swapped.spread) == (pytest.approx(1), pytest.approx(0))


def test_pooled_compares_with_the_pooled_correlation():
    sigma, residual, _ = calibrated(shared=0.0)
    pattern = (sigma.mean(1) > 1).astype(int)
    reached = correlation(*row_pair(sigma, residual))
    pooled = attainable_correlation(sigma, residual, pattern, pooled=True)
    assert abs(reached - float(pooled)) < 4 * pooled.spread


def test_rare_patterns_are_left_out_and_seeds_repeat():
    sigma, residual, _ = calibrated(shared=0.0, rows=50)
    pattern = np.repeat([0, 1], [45, 5])
    a, b = (attainable_correlation(sigma, residual, pattern, repetitions=3) for _ in range(2))
    assert a == b
    assert (a.rows, a.patterns) == (45, 1)


def test_bad_input_is_refused():
    x = np.ones((10, 2))
    with pytest.raises(ValueError, match="`sigma` must be above zero; its minimum is 0"):
        attainable_correlation(0 * x, x)
    with pytest.raises(ValueError, match=r'`version="resampled"` needs `residual`'):
        attainable_correlation(x)
    with pytest.raises(ValueError, match="No pattern has `minimum_rows` = 8 rows; .* has 1"):
        attainable_correlation(x, x, np.arange(10))


def test_by_pattern_the_rows_average_to_the_value():
    rng = np.random.default_rng(4)
    sigma, pattern = rng.uniform(0.3, 2, (60, 3)), np.repeat(["a", "b", "few"], [35, 20, 5])
    residual = sigma * rng.standard_normal(sigma.shape)
    options = {"repetitions": 20, "seed": 7}
    for version in ("independent", "resampled"):
        found = attainable_by_pattern(
            sigma, residual, pattern, version=version, methods=("pearson", "spearman"), **options
        )
        for method, values in found.items():
            expected = attainable_correlation(
                sigma, residual, pattern, version=version, method=method, **options
            )
            assert np.isnan(values[-5:]).all()
            assert values[:-5].mean() == pytest.approx(float(expected))


def test_by_pattern_none_has_enough_rows():
    one = np.ones((3, 2))
    assert np.isnan(attainable_by_pattern(one, one, np.array(["a", "b", "c"]))["pearson"]).all()
