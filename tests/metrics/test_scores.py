import numpy as np
import pytest
import scipy.special
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from sure_pyro.metrics import (
    categorical_brier,
    categorical_nll,
    gaussian_crps,
    gaussian_nll,
    zero_one_loss,
)
from sure_pyro.metrics.scores import bernoulli_brier, bernoulli_nll, squared_error


@pytest.fixture
def classes():
    rng = np.random.default_rng(0)
    return scipy.special.softmax(rng.standard_normal((50, 4)), axis=1), rng.integers(0, 4, 50)


@pytest.fixture
def gaussians():
    rng = np.random.default_rng(1)
    return rng.standard_normal((50, 3)), rng.uniform(0.1, 4, (50, 3)), rng.standard_normal((50, 3))


def test_categorical_nll_agrees_with_scikit_learn(classes):
    p, y = classes
    assert categorical_nll(p, y).mean() == pytest.approx(sklearn.metrics.log_loss(y, p))


def test_probability_zero_is_floored_at_the_rounding_of_its_dtype():
    p, y = np.array([[1.0, 0.0]]), np.array([1])
    assert categorical_nll(p, y)[0] == pytest.approx(-np.log(np.finfo(np.float64).eps))
    single = categorical_nll(p.astype(np.float32), y)[0]
    assert single == pytest.approx(-np.log(np.finfo(np.float32).eps))
    assert bernoulli_nll(np.array([0.0, 1.0]), np.array([1, 0]))[0] == pytest.approx(
        36.04, abs=0.01
    )


def test_gaussian_nll_agrees_with_scipy(gaussians):
    mean, variance, y = gaussians
    expected = -scipy.stats.norm.logpdf(y, mean, np.sqrt(variance)).mean(1)
    np.testing.assert_allclose(gaussian_nll(mean, variance, y), expected)
    one = gaussian_nll(mean[:, 0], variance[:, 0], y[:, 0])
    np.testing.assert_allclose(one, -scipy.stats.norm.logpdf(y, mean, np.sqrt(variance))[:, 0])


def test_gaussian_crps_agrees_with_scoringrules(gaussians):
    scoringrules = pytest.importorskip("scoringrules")
    mean, variance, y = gaussians
    expected = scoringrules.crps_normal(y, mean, np.sqrt(variance)).mean(1)
    np.testing.assert_allclose(gaussian_crps(mean, variance, y), expected)


def test_crps_without_variance_is_the_absolute_error():
    mean, variance, y = np.array([1.0, 2.0]), np.array([0.0, 1e-18]), np.array([4.0, 5.0])
    np.testing.assert_allclose(gaussian_crps(mean, variance, y), [3, 3], atol=1e-8)


def test_brier_scores_agree_with_scikit_learn(classes):
    p, y = classes
    expected = [sklearn.metrics.brier_score_loss(y == c, p[:, c]) for c in range(4)]
    assert categorical_brier(p, y).mean() == pytest.approx(sum(expected))
    binary = (y[:, None] == np.arange(4)).astype(float)
    assert bernoulli_brier(p, binary).mean() == pytest.approx(np.mean(expected))


def test_bernoulli_nll_agrees_with_scikit_learn(classes):
    p, y = classes
    binary = (y[:, None] == np.arange(4)).astype(float)
    expected = [sklearn.metrics.log_loss(binary[:, c], p[:, c]) for c in range(4)]
    assert bernoulli_nll(p, binary).mean() == pytest.approx(np.mean(expected))


def test_squared_error_and_zero_one_loss_by_hand():
    assert squared_error(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]])).tolist() == [2.5]
    p = np.array([[0.2, 0.8], [0.6, 0.4]])
    assert zero_one_loss(p, np.array([1, 1])).tolist() == [0, 1]


@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_scores_are_proper(truth, predicted):
    """On average over y ~ Bernoulli(truth) no prediction is better than the truth."""

    def expected(score, q):
        p = np.array([[1 - q, q]] * 2)
        return np.array([1 - truth, truth]) @ score(p, np.array([0, 1]))

    for score in (categorical_nll, categorical_brier):
        assert expected(score, predicted) >= expected(score, truth) - 1e-12


def test_bad_input_is_refused(classes):
    p, y = classes
    with pytest.raises(ValueError, match=r"Each row of `probability` must sum to 1; row 0 .* 1.9"):
        categorical_nll(np.array([[0.95, 0.95]]), np.array([0]))
    with pytest.raises(ValueError, match=r"`probability` must lie in \[0, 1\]; got -3 to 4"):
        categorical_nll(np.array([[-3.0, 4.0]]), np.array([0]))
    with pytest.raises(ValueError, match=r"`label` must lie in 0\.\.3; got 0 to 4"):
        categorical_nll(p, np.arange(50) % 5)
    with pytest.raises(ValueError, match=r"`label` needs shape \(50,\), .* got \(49,\)"):
        categorical_brier(p, y[:-1])
    with pytest.raises(ValueError, match="`variance` must be above zero; its minimum is 0"):
        gaussian_nll(np.ones(2), np.array([0.0, 1.0]), np.ones(2))
    with pytest.raises(ValueError, match="If this is a log-variance, pass its exponential"):
        gaussian_crps(np.ones(2), np.array([-1.0, 1.0]), np.ones(2))
    with pytest.raises(ValueError, match="`target` must be 0 or 1; got values such as 2"):
        bernoulli_nll(np.array([0.5]), np.array([2]))
