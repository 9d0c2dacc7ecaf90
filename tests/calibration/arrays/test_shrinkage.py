from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.integrate
from hypothesis import given

from sure_pyro.calibration.arrays.shrinkage import (
    PRIOR_SCALE,
    moment_pseudo_count,
    own_weight,
    posterior_mean,
    row_variance,
    variance_of_mean,
)


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
    influence = (2 * rng.standard_normal((400, 1)) + rng.standard_normal((400, 3))).ravel()
    row, pattern = np.repeat(np.arange(400), 3), np.tile(np.arange(3), 400)
    single = np.arange(1200)
    alone = row_variance(influence, pattern, single, single)
    shared = row_variance(influence, pattern, row, row)
    # Relative sd of a variance on n degrees of freedom: sqrt(2 / n); 4 sd.
    assert alone == pytest.approx(5, rel=4 * np.sqrt(2 / 400))
    assert shared == pytest.approx(1, rel=4 * np.sqrt(2 / 800))


def test_rows_that_err_together_count_as_one_observation():
    """200 groups of 10 rows under 2 masks; luck of a group under a mask has variance 4."""
    rng = np.random.default_rng(1)
    luck = 2 * rng.standard_normal((200, 1, 2))
    influence = (luck + rng.standard_normal((200, 10, 2))).ravel()
    row, pattern = np.repeat(np.arange(2000), 2), np.tile(np.arange(2), 2000)
    group = row // 10
    # The mean of n rows has variance (4 * 10 + 1) / n; 400 cells, less the centring: 199 freedoms.
    expected = pytest.approx(41, rel=4 * np.sqrt(2 / 199))
    assert row_variance(influence, pattern, row, group) == expected
    one_mask = pattern == 0
    assert 2000 * variance_of_mean(influence[one_mask], group[one_mask]) == expected


def test_one_group_confirms_nothing():
    x, pattern = np.array([1.0, -1.0, 2.0, -2.0]), np.array([0, 0, 1, 1])
    assert row_variance(x, pattern, np.arange(4), np.zeros(4)) == np.inf
    assert variance_of_mean(np.array([1.0, -1.0]), np.zeros(2)) == np.inf
    assert posterior_mean(0.7, np.inf, 0.1) == 0


def test_mean_variance_of_single_rows_is_the_textbook_one():
    x = np.array([3.0, -1.0, -2.0])  # influences have mean zero
    assert variance_of_mean(x, np.arange(3)) == pytest.approx(x.var(ddof=1) / 3)


@given(x=st.floats(-5, 5), sd=st.floats(0.005, 3), tau=st.floats(0.02, 2))
def test_the_belief_is_the_posterior_mean_under_a_cauchy_prior(x, sd, tau):
    # theta = tau * tan(u) makes the prior uniform in u; the likelihood peaks at atan(x / tau).
    def moment(k):
        def density(u):
            theta = tau * np.tan(u)
            return theta**k * np.exp(-0.5 * ((x - theta) / sd) ** 2)

        ends = [np.arctan((x + d * sd) / tau) for d in (-9, -3, 0, 3, 9)]
        pieces = pairwise(ends)
        return sum(scipy.integrate.quad(density, *piece, epsrel=1e-10)[0] for piece in pieces)

    expected = moment(1) / moment(0)
    assert posterior_mean(x, sd**2, tau) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@given(x=st.floats(-5, 5), sd=st.floats(1e-4, 3))
def test_the_belief_lies_between_nothing_and_what_was_said(x, sd):
    found = posterior_mean(x, sd**2, PRIOR_SCALE)
    assert min(x, 0) - 1e-9 <= found <= max(x, 0) + 1e-9


@pytest.mark.parametrize("prior", [-0.1, np.nan])
def test_a_prior_without_meaning_is_refused(prior):
    with pytest.raises(
        ValueError,
        match="`prior_scale`, of a Cauchy distribution, must be at least 0; got .* Take 0",
    ):
        posterior_mean(0.4, 0.1, prior)


def test_ends_of_the_belief():
    assert posterior_mean(0.4, 0.1, 0.0) == 0
    assert posterior_mean(0.4, 0.0, 0.1) == 0.4
    assert posterior_mean(0.4, 1.0, np.inf) == 0.4
    assert posterior_mean(2.0, 1e-8, 0.1) == pytest.approx(2.0, rel=1e-6)  # many rows: as they say
    assert posterior_mean(2.0, 0.04, 0.1) > 1.9  # far off: posterior_mean in spite of the prior
    assert posterior_mean(0.1, 0.04, 0.1) < 0.05  # within chance: hardly
