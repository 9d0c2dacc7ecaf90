import numpy as np
import pytest

from sure_pyro.metrics import ause, sparsification


def test_curves_by_hand():
    found = sparsification(np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(found.removed, [0, 1 / 3, 2 / 3])
    np.testing.assert_allclose(found.remaining, np.array([2, 2.5, 2]) / 2)
    np.testing.assert_allclose(found.oracle, np.array([2, 1.5, 1]) / 2)
    assert found.ause == pytest.approx(np.mean([0, 0.5, 0.5]))


def test_perfect_order_has_no_area_and_scale_does_not_matter():
    error = np.random.default_rng(0).random(50)
    assert ause(10 * error + 3, error) == pytest.approx(0)
    u = np.random.default_rng(1).random(50)
    assert ause(u, 7 * error) == pytest.approx(ause(u, error))


def test_no_error_at_all():
    found = sparsification(np.arange(4.0), np.zeros(4))
    assert found.ause == 0
    np.testing.assert_array_equal(found.remaining, 1)


def test_negative_errors_are_refused():
    with pytest.raises(ValueError, match="`e` must be non-negative"):
        ause(np.ones(2), np.array([1.0, -1.0]))
