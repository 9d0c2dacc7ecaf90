import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sure_pyro.calibration.arrays import controlled_threshold, risk_p_value


@pytest.mark.parametrize(("errors", "rows", "risk"), [(0, 30, 0.1), (3, 100, 0.05), (40, 50, 0.9)])
def test_binary_p_value_is_the_exact_binomial_test(errors, rows, risk):
    expected = scipy.stats.binomtest(errors, rows, risk, alternative="less").pvalue
    found = risk_p_value(np.array([errors]), np.array([rows]), risk, binary=True)
    assert found[0] == pytest.approx(expected)


@given(st.integers(1, 200), st.floats(0, 1), st.floats(0.01, 0.99))
def test_bounded_p_value_is_never_below_the_exact_one(rows, mean, risk):
    """Losses in [0, 1] hold losses 0 and 1: what is valid for all can not beat the exact test."""
    total, n = np.array([round(mean * rows)]), np.array([rows])
    bounded, exact = (risk_p_value(total, n, risk, binary) for binary in (False, True))
    assert exact[0] - 1e-12 <= bounded[0] <= 1


def test_bounded_p_value_is_valid_for_losses_between():
    rng = np.random.default_rng(0)
    loss = rng.beta(0.2, 0.8, (4000, 60))  # mean 0.2, the null hypothesis at its edge
    p = risk_p_value(loss.sum(1), np.full(4000, 60), 0.2, binary=False)
    # Binomial(4000, 0.1) exceeds 475 with 1e-4.
    assert (p <= 0.1).sum() <= scipy.stats.binom.ppf(1 - 1e-4, 4000, 0.1)
    low = risk_p_value(loss.sum(1), np.full(4000, 60), 0.5, binary=False)
    assert (low <= 0.1).mean() > 0.95  # and it sees a risk that is truly low


def test_no_rows_prove_nothing():
    assert risk_p_value(np.zeros(1), np.zeros(1), 0.1, binary=True)[0] == 1
    assert risk_p_value(np.zeros(1), np.zeros(1), 0.1, binary=False)[0] == 1
    assert controlled_threshold(np.arange(5.0), np.zeros(5), 0.1, 0.1) == -np.inf


def test_enough_rows_without_error_are_all_accepted():
    # 0.9^n <= 0.05 needs 29 rows.
    assert controlled_threshold(np.arange(29.0), np.zeros(29), 0.1, 0.05) == np.inf
    assert controlled_threshold(np.arange(28.0), np.zeros(28), 0.1, 0.05) == -np.inf


def test_certain_rows_are_accepted_and_wrong_ones_are_not():
    score = np.arange(400.0)
    threshold = controlled_threshold(score, (score >= 200).astype(float), 0.05, 0.05)
    assert 200 <= threshold < 215


def test_where_the_risk_is_at_its_bound_everywhere_delta_holds():
    """The hardest case: every threshold is just not acceptable, so accepting any is an error."""
    rng = np.random.default_rng(1)
    wrong = sum(
        controlled_threshold(rng.random(200), (rng.random(200) < 0.1).astype(float), 0.1, 0.1)
        > -np.inf
        for _ in range(1000)
    )
    # Binomial(1000, 0.1) exceeds 136 with 1e-4.
    assert wrong <= scipy.stats.binom.ppf(1 - 1e-4, 1000, 0.1)
    assert wrong > 20  # and the bound is not idle


def test_where_the_risk_rises_through_the_bound_delta_holds():
    rng = np.random.default_rng(2)
    # P(loss | s) = s: the risk below t is t / 2, so 0.1 is reached at t = 0.2.
    wrong, thresholds = 0, []
    for _ in range(500):
        score = rng.random(1600)
        loss = (rng.random(1600) < score).astype(float)
        thresholds.append(controlled_threshold(score, loss, 0.1, 0.1))
        wrong += thresholds[-1] > 0.2
    assert wrong <= scipy.stats.binom.ppf(1 - 1e-4, 500, 0.1)
    assert wrong > 5  # and the bound is not idle
    assert np.mean(np.maximum(thresholds, 0)) > 0.08


def test_ties_stay_together_and_order_of_rows_does_not_matter():
    rng = np.random.default_rng(3)
    score, loss = np.repeat([1.0, 2.0, 3.0], 100), np.repeat([0.0, 0.0, 1.0], 100)
    order = rng.permutation(300)
    assert controlled_threshold(score[order], loss[order], 0.1, 0.1) == 3


def test_fractional_losses_are_controlled_by_the_bound():
    score = np.arange(400.0)
    threshold = controlled_threshold(score, np.where(score < 200, 0.01, 0.8), 0.1, 0.1)
    assert 200 <= threshold < 240
