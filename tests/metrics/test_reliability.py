import numpy as np
import pytest
import scipy.special

from sure_pyro.metrics import confidence_bins, ece, ence, uce, variance_bins
from sure_pyro.metrics.reliability import adaptive_ece


def predictions(rows=5000, seed=0, temperature=1.0):
    """Probabilities that are right, then sharpened by `temperature`."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((rows, 4))
    p = scipy.special.softmax(logits, axis=1)
    label = (p.cumsum(1) > rng.random((rows, 1))).argmax(1)
    return scipy.special.softmax(logits / temperature, axis=1), label


def test_ece_agrees_with_torchmetrics():
    torch, torchmetrics = (pytest.importorskip(m) for m in ("torch", "torchmetrics"))
    p, y = predictions(temperature=0.5)
    expected = torchmetrics.functional.classification.multiclass_calibration_error(
        torch.tensor(p), torch.tensor(y), num_classes=4, n_bins=15, norm="l1"
    )
    assert ece(p, y) == pytest.approx(expected.item(), abs=1e-5)


def test_bins_by_hand():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.45, 0.55]])
    found = confidence_bins(p, np.array([0, 1, 1, 1]), bins=2, adaptive=True)
    np.testing.assert_allclose(found.predicted, [0.575, 0.85])
    np.testing.assert_allclose(found.observed, [1, 0.5])
    assert found.gap == pytest.approx((0.425 + 0.35) / 2)


@pytest.mark.parametrize("metric", [ece, adaptive_ece])
def test_calibrated_is_small_and_sharpened_is_large(metric):
    # Under calibration each of 15 bins adds at most E|gap| = 0.4/sqrt(n): 15 of 333 rows give 0.02.
    assert metric(*predictions()) < 0.03
    assert metric(*predictions(temperature=0.3)) > 0.1


def test_uce_and_ence_by_hand():
    variance, e2 = np.array([1.0, 1.0, 4.0, 4.0]), np.array([0.0, 8.0, 1.0, 1.0])
    found = variance_bins(variance, e2, bins=2)
    np.testing.assert_allclose(found.predicted, [1, 4])
    np.testing.assert_allclose(found.observed, [4, 1])
    assert uce(variance, e2, bins=2) == pytest.approx(3)
    assert ence(variance, e2, bins=2) == pytest.approx((1 / 1 + 1 / 2) / 2)


def test_right_variances_have_small_errors_that_grow_with_the_bins():
    rng = np.random.default_rng(1)
    s2 = rng.uniform(0.5, 2, 6000)
    e2 = s2 * rng.standard_normal(6000) ** 2
    # A bin's RMSE has a relative sd of sqrt(2/n)/2 = 0.035 at 400 rows; the mean of 15 |.|: 0.028.
    assert ence(s2, e2, bins=15) == pytest.approx(0.028, abs=0.02)
    assert ence(s2, e2, bins=240) > 2 * ence(s2, e2, bins=15)
    assert ence(4 * s2, e2) == pytest.approx(0.5, abs=0.03)


def test_equal_values_share_a_bin():
    found = variance_bins(np.ones(10), np.arange(10.0), bins=5)
    assert found.rows.tolist() == [10]


def test_zero_variances():
    zero, one = np.zeros(4), np.ones(4)
    assert ence(zero, zero) == 0
    assert ence(zero, one) == np.inf


def test_fewer_rows_than_bins():
    assert ece(np.array([[0.7, 0.3]]), np.array([0])) == pytest.approx(0.3)
    assert uce(np.array([2.0]), np.array([1.0])) == 1


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="`bins` must be at least 1; got 0"):
        ece(np.array([[0.7, 0.3]]), np.array([0]), bins=0)
