import numpy as np
import pytest

from sure_pyro.metrics import variance_ratio


def test_overall_and_per_pattern_by_hand():
    variance, e2 = np.array([1.0, 1.0, 4.0]), np.array([1.0, 3.0, 1.0])
    found = variance_ratio(variance, e2, np.array(["a", "a", "b"]))
    assert float(found) == pytest.approx(6 / 5)
    assert found["a"] == pytest.approx(0.5)
    assert found["b"] == pytest.approx(4)


def test_entries_of_a_row_are_averaged():
    assert float(variance_ratio(np.full((5, 3), 2.0), np.ones((5, 3)))) == 2


def test_zero_errors_are_infinitely_overestimated_unless_expected():
    zero, one = np.zeros(3), np.ones(3)
    assert float(variance_ratio(one, zero)) == np.inf
    assert float(variance_ratio(zero, zero)) == 1
    assert float(variance_ratio(zero, one)) == 0


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="`variance` must be non-negative; its minimum is -2"):
        variance_ratio(np.array([-2.0]), np.array([1.0]))
    with pytest.raises(ValueError, match="`squared_error` must be non-negative"):
        variance_ratio(np.array([2.0]), np.array([-1.0]))
