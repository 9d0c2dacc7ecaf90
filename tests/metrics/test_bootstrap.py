import numpy as np
import pytest
import scipy.stats

from sure_pyro.metrics import bootstrap_interval


def test_mean_has_the_interval_of_the_normal_approximation():
    x = np.random.default_rng(0).standard_normal(400)
    found = bootstrap_interval(np.mean, x, seed=1, repetitions=4000)
    half = scipy.stats.norm.ppf(0.95) * x.std() / np.sqrt(len(x))
    # A 5 % quantile of 4000 draws has a standard error of 2.1 sd/sqrt(4000) = 2 % of `half`.
    assert found.upper - found.estimate == pytest.approx(half, rel=0.08)
    assert found.estimate - found.lower == pytest.approx(half, rel=0.08)
    assert found.estimate in found


def test_covers_at_its_level():
    rng = np.random.default_rng(2)
    hits = sum(
        0.0 in bootstrap_interval(np.mean, rng.standard_normal(80), seed=r, repetitions=200)
        for r in range(200)
    )
    # Binomial(200, 0.9), false alarm 1e-4 on each side; 0.88 allows for the known small shortfall.
    assert hits >= scipy.stats.binom.ppf(1e-4, 200, 0.88)
    assert hits <= scipy.stats.binom.ppf(1 - 1e-4, 200, 0.92)


def test_groups_widen_the_interval_by_the_design_effect():
    group = np.repeat(np.arange(50), 20)
    x = np.random.default_rng(3).standard_normal(50)[group]  # rows of a group are copies
    by_row = bootstrap_interval(np.mean, x, repetitions=2000)
    by_group = bootstrap_interval(np.mean, x, groups=group, repetitions=2000)
    width = [interval.upper - interval.lower for interval in (by_row, by_group)]
    assert width[1] / width[0] == pytest.approx(np.sqrt(20), rel=0.15)


def test_scores_per_row_are_averaged_and_arrays_stay_together():
    x = np.arange(30.0)
    found = bootstrap_interval(lambda a, b: a - b, x, x - 2, repetitions=50)
    assert (found.lower, found.estimate, found.upper) == (2, 2, 2)


def test_same_seed_same_interval_and_the_global_generator_is_untouched():
    x = np.random.default_rng(4).standard_normal(30)
    before = np.random.get_state()[1].copy()
    assert bootstrap_interval(np.mean, x, seed=5) == bootstrap_interval(np.mean, x, seed=5)
    assert bootstrap_interval(np.mean, x, seed=5) != bootstrap_interval(np.mean, x, seed=6)
    np.testing.assert_array_equal(before, np.random.get_state()[1])


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="at least 2 rows to draw from; got 1"):
        bootstrap_interval(np.mean, np.ones(1))
    with pytest.raises(ValueError, match="at least 2 groups to draw from; got 1"):
        bootstrap_interval(np.mean, np.ones(3), groups=np.zeros(3, dtype=int))
    with pytest.raises(ValueError, match="`level` must lie strictly between 0 and 1; got 90"):
        bootstrap_interval(np.mean, np.ones(3), level=90.0)
    with pytest.raises(ValueError, match="`repetitions` must be at least 1; got 0"):
        bootstrap_interval(np.mean, np.ones(3), repetitions=0)
