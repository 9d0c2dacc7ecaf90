import numpy as np
import pytest
import scipy.special
import scipy.stats

from sure_pyro.diagnostics import draws as drawn

S = 4000


def rng():
    return np.random.default_rng(0)


def column(*values):
    return np.array(values, dtype=np.float64)[:, None]


def test_unseen_has_the_moments_it_was_given():
    f = drawn.unseen(column(1, -2), column(0.25, 4), S, rng())
    # Five standard errors: one false alarm in a million.
    np.testing.assert_allclose(f.mean(0), column(1, -2), atol=5 * 2 / np.sqrt(S))
    np.testing.assert_allclose(f.var(0), column(0.25, 4), rtol=5 * np.sqrt(2 / S))


def test_unseen_without_variance_is_the_mean():
    assert (drawn.unseen(column(3), column(0), 5, rng()) == 3).all()


def test_a_gaussian_head_seen_is_the_conjugate_posterior():
    mean, prior, noise, y = column(0.5), column(0.3), column(0.6), column(2.0)
    log_p = drawn.seen(mean, prior, noise, y, "regression", S, rng())[:, 0, 0]
    # Importance weights 1/p take the target out again; their mean is 1/p(y), exactly.
    expected = scipy.stats.norm.logpdf(2.0, 0.5, np.sqrt(0.9))
    # The weights 1/p have a finite variance here (share 1/10 < 1/2): about 1 % standard error.
    assert -scipy.special.logsumexp(-log_p, b=1 / S) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("missing", [0.0, 0.5, 50.0])
def test_regression_leaves_the_prediction_as_it_was_whatever_is_missing(missing):
    """Moving variance between draws and likelihood keeps the leave-one-out density."""
    y, total = 1.5, missing + 0.5
    log_p = drawn.seen(column(0), column(missing), column(0.5), column(y), "regression", S, rng())[
        :, 0, 0
    ]
    expected = scipy.stats.norm.logpdf(y, 0, np.sqrt(total))
    assert -scipy.special.logsumexp(-log_p, b=1 / S) == pytest.approx(expected, abs=0.05)
    assert log_p.std() > 0  # something for Pareto smoothing to work on


def test_classes_seen_are_resampled_in_proportion_to_their_probability():
    mean, missing, head = np.array([[0.5, -0.5, 0.0]]), np.full((1, 3), 0.1), np.full((1, 3), 0.9)
    log_p = drawn.seen(mean, missing, head, np.array([1]), "classification", S, rng())[:, 0]
    f = drawn.unseen(mean, missing, 200_000, rng())[:, 0] / np.sqrt(1 + np.pi / 8 * 0.9)
    p = scipy.special.softmax(f, -1)[:, 1]
    # E[p | seen] = E[p^2] / E[p]; the resampled mean has a standard error of about 0.003.
    assert np.exp(log_p).mean() == pytest.approx((p**2).mean() / p.mean(), abs=0.015)
    assert 1 / np.exp(-log_p).mean() == pytest.approx(p.mean(), rel=0.03)


def test_labels_seen_are_resampled_one_by_one():
    mean, s2 = np.array([[1.0, -1.0]]), np.full((1, 2), 0.5)
    y = np.array([[1.0, 1.0]])
    log_p = drawn.seen(mean, s2, s2, y, "multilabel", S, rng())
    assert log_p.shape == (S, 1, 2)
    f = drawn.unseen(mean, s2, 100_000, rng())[:, 0] / np.sqrt(1 + np.pi / 8 * 0.5)
    np.testing.assert_allclose(
        1 / np.exp(-log_p[:, 0]).mean(0), scipy.special.expit(f).mean(0), rtol=0.03
    )


def test_targets_of_a_regression_have_the_total_variance():
    y = drawn.targets(None, column(1), column(4), "regression", S, rng())
    assert y.var() == pytest.approx(4, rel=5 * np.sqrt(2 / S))


def test_targets_of_classes_come_as_often_as_they_should():
    p = np.array([[0.2, 0.0, 0.8], [1.0, 0.0, 0.0]])
    y = drawn.targets(p, p, p, "classification", S, rng())
    assert y.shape == (S, 2)
    assert (y[:, 0] == 2).mean() == pytest.approx(0.8, abs=5 * np.sqrt(0.16 / S))
    assert not (y == 1).any()
    assert (y[:, 1] == 0).all()


def test_targets_of_labels_are_independent():
    p = np.array([[0.5, 0.5]])
    y = drawn.targets(p, p, p, "multilabel", S, rng())[:, 0]
    assert np.corrcoef(y.T)[0, 1] == pytest.approx(0, abs=5 / np.sqrt(S))
