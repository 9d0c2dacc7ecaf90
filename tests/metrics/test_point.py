import numpy as np
import pytest
import sklearn.metrics

from sure_pyro.metrics import f1, rmse
from sure_pyro.metrics.point import class_f1, label_set_f1


def test_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (2, 40))
    assert f1(a, b) == pytest.approx(sklearn.metrics.f1_score(b, a, average="macro"))
    assert f1(a, b, average="weighted") == pytest.approx(
        sklearn.metrics.f1_score(b, a, average="weighted")
    )
    x, y = rng.standard_normal((2, 40, 3))
    assert rmse(x, y) == pytest.approx(np.sqrt(sklearn.metrics.mean_squared_error(y, x)))


def test_multilabel_counts_entries():
    assert f1(np.array([[1, 0], [1, 1]]), np.array([[1, 1], [1, 1]])) == pytest.approx(5 / 6)


def test_a_class_without_rows_and_predictions_is_no_warning():
    assert f1(np.array([0, 0]), np.array([0, 1])) == pytest.approx(1 / 3)


def test_of_probabilities():
    p = np.array([[0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    assert class_f1(p, np.array([1, 0, 0])) == pytest.approx(2 / 3)
    assert label_set_f1(p, np.array([[0.0, 1], [1, 0], [1, 1]])) == pytest.approx((2 / 3 + 1) / 2)
