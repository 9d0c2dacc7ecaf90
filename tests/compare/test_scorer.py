import numpy as np
import pytest
import scipy.stats

from sure_pyro.compare.scorer import Scorer
from sure_pyro.data import from_arrays
from tests.diagnostics.conftest import prediction

X = {"a": np.zeros((4, 1)), "b": np.zeros((4, 1))}


def scorer(target, task=None):
    return Scorer.of(from_arrays(X, target, task=task))


def test_accuracy_and_f1():
    s = scorer(np.array([0, 1, 1, 0]))
    answer = np.array([[2.0, 1], [1, 2], [2, 1], [3, 0]])
    assert s.loss(answer).tolist() == [0, 0, 1, 0]
    assert (s.name, s.second_name) == ("accuracy", "F1")
    assert s.second(answer) == pytest.approx((0.8 + 2 / 3) / 2)


def test_r2_and_rmse():
    y = np.array([1.0, 2, 3, 6])
    s = scorer(y)
    assert 1 - s.loss(np.full((4, 1), 3.0)).mean() == pytest.approx(0)  # the mean
    assert 1 - s.loss(y[:, None]).mean() == 1
    assert s.second(y[:, None] + 2) == 2
    assert s.name == "R²"


def test_a_constant_output_does_not_divide_by_zero():
    assert np.isfinite(scorer(np.ones(4)).loss(np.zeros((4, 1)))).all()


def test_labels_are_counted_one_by_one():
    s = scorer(np.array([[0.0, 1], [1, 1], [0, 0], [0, 1]]))
    assert s.loss(np.array([[-1.0, 1], [1, -1], [1, 1], [-1, 1]])).tolist() == [0, 0.5, 1, 0]
    assert s.name == "label accuracy"


def test_several_outputs_are_averaged_in_units_of_their_spread():
    y = np.array([[0.0, 0], [2, 200], [0, 0], [2, 200]])
    assert scorer(y).loss(y + np.array([1.0, 100.0])).tolist() == pytest.approx([1] * 4)


@pytest.mark.parametrize("task", ["regression", "classification", "multilabel"])
def test_roads_are_scored_by_what_they_answer(task):
    result, batch = prediction(task)
    s = Scorer.of(batch)
    loss, nll = (f(result, "taylor") for f in (lambda p, r: s.loss(s.answer_of(p, r)), s.nll_of))
    if task == "regression":
        m = result.moments["taylor"]
        expected = -scipy.stats.norm.logpdf(batch.target, m.mean, m.sd).mean(1)
        np.testing.assert_allclose(nll, expected, rtol=1e-6)
        np.testing.assert_allclose(
            s.doubt_of(result, "taylor"), (m.variance.numpy() / s.scale**2).mean(1)
        )
    else:
        p = result.probabilities["taylor"].numpy()
        found = p.argmax(1) if task == "classification" else (p > 0.5)
        wrong = found != batch.target.numpy()
        np.testing.assert_allclose(loss, wrong if wrong.ndim == 1 else wrong.mean(1))
        assert (s.doubt_of(result, "taylor") >= 0).all()
    assert nll.shape == loss.shape == (len(batch),)


def test_rows_are_scored_with_the_spread_of_all():
    s = scorer(np.array([1.0, 2, 3, 6]))
    part = s[np.array([True, False, False, True])]
    assert part.scale == s.scale
    assert part.loss(np.array([[1.0], [6.0]])).tolist() == [0, 0]
