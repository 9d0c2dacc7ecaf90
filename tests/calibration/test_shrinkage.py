import numpy as np
import pytest

from sure_pyro.calibration.shrinkage import moment_pseudo_count, own_weight, row_variance


def test_recovers_the_ratio_of_the_two_variances():
    rng = np.random.default_rng(0)
    rows = rng.integers(20, 200, 4000)
    truth = 0.3 * rng.standard_normal(4000)
    estimate = truth + rng.standard_normal(4000) * np.sqrt(2.0 / rows)
    # n_0 = 2 / 0.09; tau^2 from 4000 patterns has a relative sd below 4 %: 4 sd.
    assert moment_pseudo_count(estimate, rows, 2.0) == pytest.approx(2 / 0.09, rel=0.16)


def test_patterns_that_differ_by_chance_alone_are_pooled_at_least_half_the_time():
    rng = np.random.default_rng(1)
    rows = np.full(10, 50)
    found = [
        moment_pseudo_count(rng.standard_normal(10) * np.sqrt(1 / 50), rows, 1.0)
        for _ in range(300)
    ]
    # Q - 9 is below zero with probability 0.56; Binomial(300, 0.56) falls below 130 with 1e-5.
    assert np.isinf(found).sum() >= 130


def test_the_blend_errs_less_than_either_end():
    rng = np.random.default_rng(2)
    rows = rng.integers(5, 100, 500)
    truth = 0.4 * rng.standard_normal(500)
    own = truth + rng.standard_normal(500) * np.sqrt(4.0 / rows)
    n0 = moment_pseudo_count(own, rows, 4.0)
    overall = np.average(own, weights=rows)
    w = np.array([own_weight(int(n), n0) for n in rows])
    error = [
        ((x - truth) ** 2).mean() for x in (w * own + (1 - w) * overall, own, 0 * own + overall)
    ]
    assert error[0] < 0.8 * min(error[1:])


def test_ends():
    one = np.ones(1)
    assert moment_pseudo_count(one, one, 1.0) == np.inf
    assert moment_pseudo_count(np.array([0.0, 1.0]), np.ones(2), 0.0) == 0
    assert moment_pseudo_count(np.array([0.0, 1.0]), np.ones(2), np.inf) == np.inf
    assert own_weight(10, np.inf) == 0
    assert own_weight(10, 0.0) == 1
    assert own_weight(10, 10.0) == 0.5


def test_luck_that_all_masks_of_a_row_share_does_not_hide_how_patterns_differ():
    """Each of 400 rows under 3 masks; the row's own luck has variance 4, that of a mask 1."""
    rng = np.random.default_rng(0)
    influence = 2 * rng.standard_normal((400, 1)) + rng.standard_normal((400, 3))
    rows = np.repeat(np.arange(400), 3)
    alone = row_variance(influence.ravel(), 3)
    shared = row_variance(influence.ravel(), 3, rows)
    # Relative sd of a variance on n degrees of freedom: sqrt(2 / n); 4 sd.
    assert alone == pytest.approx(5, rel=4 * np.sqrt(2 / 400))
    assert shared == pytest.approx(1, rel=4 * np.sqrt(2 / 800))
    assert row_variance(influence.ravel(), 3, np.arange(1200)) == alone
