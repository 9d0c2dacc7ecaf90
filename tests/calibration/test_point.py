import numpy as np
import pytest
import sklearn.metrics

from sure_pyro.calibration import accuracy, f1, mae, rmse


def test_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (2, 40))
    assert accuracy(a, b) == pytest.approx(sklearn.metrics.accuracy_score(b, a))
    assert f1(a, b) == pytest.approx(sklearn.metrics.f1_score(b, a, average="macro"))
    assert f1(a, b, average="weighted") == pytest.approx(
        sklearn.metrics.f1_score(b, a, average="weighted")
    )
    x, y = rng.standard_normal((2, 40, 3))
    assert rmse(x, y) == pytest.approx(np.sqrt(sklearn.metrics.mean_squared_error(y, x)))
    assert mae(x, y) == pytest.approx(sklearn.metrics.mean_absolute_error(y, x))


def test_multilabel_counts_entries():
    assert accuracy(np.array([[1, 0], [1, 1]]), np.array([[1, 1], [1, 1]])) == 0.75
    assert f1(np.array([[1, 0], [1, 1]]), np.array([[1, 1], [1, 1]])) == pytest.approx(5 / 6)


def test_a_class_without_rows_and_predictions_is_no_warning():
    assert f1(np.array([0, 0]), np.array([0, 1])) == pytest.approx(1 / 3)
