import numpy as np
import pytest
import scipy.special

from sure_pyro.calibration.arrays.allocation import (
    LossCurves,
    allocate,
    allocate_risk,
    choose_prior_sd,
    cut,
)


def world(n=4000, seed=0, slope=(1.0, 1.0, 1.0), level=(-4.0, -2.0, 0.0)):
    rng = np.random.default_rng(seed)
    pattern = rng.integers(0, 3, n)
    score = rng.standard_normal(n)
    expected = scipy.special.expit(np.array(level)[pattern] + np.array(slope)[pattern] * score)
    return score, (rng.random(n) < expected).astype(float), pattern, expected


def test_curves_recover_the_expected_loss():
    score, loss, pattern, expected = world(n=20000)
    found = LossCurves.fit(score, loss, pattern)(score, pattern)
    # 1300 rows per coefficient and 6 coefficients: sd of a probability near 0.01; 4 of them.
    assert np.sqrt(((found - expected) ** 2).mean()) < 0.04


def test_threshold_inverts_the_curve():
    score, loss, pattern, _ = world()
    curves = LossCurves.fit(score, loss, pattern)
    for k in range(3):
        t = curves.threshold(0.2, k)
        if np.isfinite(t):
            assert curves(np.array([t]), np.array([k]))[0] == pytest.approx(0.2, abs=1e-3)
    assert curves.threshold(0.0, 0) == -np.inf
    assert curves.threshold(1.0, 0) == np.inf
    assert curves.threshold(0.2) == curves.threshold(0.2, 17)  # never seen: the common curve


def test_a_pattern_whose_score_says_nothing_is_flat_and_a_backward_one_counts_as_flat():
    score, loss, pattern, _ = world(slope=(2.0, -2.0, 2.0))
    found = LossCurves.fit(score, loss, pattern)(score, pattern)
    assert np.ptp(found[pattern == 1]) == 0
    assert (np.diff(found[pattern == 0][np.argsort(score[pattern == 0])]) >= 0).all()


def test_rare_patterns_stay_near_the_common_curve():
    score, loss, pattern, _ = world(level=(-2.0, -2.0, -2.0))
    pattern[:3], loss[:3] = 9, 1.0  # three rows, all of them wrong
    curves = LossCurves.fit(score, loss, pattern)
    rare, common = (curves(np.zeros(1), np.array([k]))[0] for k in (9, 0))
    assert common < rare < 0.6


def test_without_a_prior_spread_one_curve_serves_all():
    score, loss, pattern, _ = world()
    curves = LossCurves.fit(score, loss, pattern, prior_sd=0.0)
    assert set(curves.patterns.values()) == {curves.common}


def test_patterns_speak_for_themselves_only_as_far_as_they_differ_beyond_their_groups():
    score, loss, pattern, _ = world()
    rows = np.arange(len(score))
    assert choose_prior_sd(score, loss, pattern, rows, seed=0) >= 0.3
    assert choose_prior_sd(score, loss, pattern, np.arange(len(score)) % 4, seed=0) == 0.0
    # Ten groups, each of one pattern and with a level of its own: what looks like patterns is
    # groups, and with rows apart it would be believed.
    rng = np.random.default_rng(1)
    group = rng.integers(0, 10, 4000)
    expected = scipy.special.expit(rng.standard_normal(10)[group] + score)
    loss = (rng.random(4000) < expected).astype(float)
    assert choose_prior_sd(score, loss, group % 5, rows, seed=0) >= 0.3
    assert choose_prior_sd(score, loss, group % 5, group, seed=0) <= 0.1


def test_any_monotone_scale_of_the_score_gives_the_same_decisions():
    score, loss, pattern, _ = world(n=1000)
    a = allocate(score, loss, pattern, 0.3)
    b = allocate(np.exp(3 * score), loss, pattern, 0.3)
    for k in range(3):
        np.testing.assert_array_equal(score < a[k], np.exp(3 * score) < b[k])


def test_budget_is_spent_exactly_and_near_the_optimum():
    score, loss, pattern, expected = world(n=6000)
    thresholds = allocate(score, loss, pattern, 0.25)
    accept = score < np.array([thresholds[k] for k in pattern])
    assert accept.sum() == 4500
    oracle = np.sort(expected)[:4500].mean()
    one = np.sort(score)[4500]
    assert expected[accept].mean() < oracle + 0.005
    assert expected[accept].mean() < 0.8 * expected[score < one].mean()


def test_nothing_to_spend_and_everything_to_spend():
    score, loss, pattern, _ = world(n=100)
    assert set(allocate(score, loss, pattern, 1e-9).values()) == {np.inf}
    accept_one = allocate(score, loss, pattern, 0.999)
    assert sum((score[pattern == k] < t).sum() for k, t in accept_one.items()) == 1


def test_cut_lies_between():
    score = np.array([1.0, 2.0, 4.0])
    assert cut(score, np.array([True, True, False])) == 3
    assert cut(score, np.ones(3, dtype=bool)) == np.inf
    assert cut(score, np.zeros(3, dtype=bool)) == -np.inf


def test_risk_thresholds_share_one_expected_loss():
    score, loss, pattern, expected = world()
    thresholds, _ = allocate_risk(score, loss, pattern, 0.1, 0.1, seed=0)
    accept = score < np.array([thresholds[k] for k in pattern])
    assert accept.mean() > 0.3
    assert expected[accept].mean() < 0.1
    assert thresholds[0] > thresholds[1] > thresholds[2]


def test_one_row_is_too_few_to_split():
    thresholds, fallback = allocate_risk(np.ones(1), np.zeros(1), np.array(["a"]), 0.1, 0.1, 0)
    assert thresholds == {"a": -np.inf}
    assert fallback == -np.inf
