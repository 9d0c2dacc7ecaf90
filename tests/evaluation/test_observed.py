import numpy as np
import pytest
import scipy.stats

from sure_pyro.data import from_arrays
from sure_pyro.evaluation.observed import Observed
from sure_pyro.evaluation.predicted import Predicted
from sure_pyro.metrics import metric
from tests.diagnostics.conftest import prediction

X = {"a": np.zeros((4, 1)), "b": np.zeros((4, 1))}


def observed(target, task=None):
    return Observed.of(from_arrays(X, target, task=task))


def classes(*p):
    return Predicted(np.zeros((len(p), 2)), None, np.array(p))


def numbers(mean):
    return Predicted(np.asarray(mean, dtype=float))


def test_accuracy():
    found = observed(np.array([0, 1, 1, 0])).loss(
        classes([0.7, 0.3], [0.2, 0.8], [0.6, 0.4], [1, 0])
    )
    assert found.tolist() == [0, 0, 1, 0]


def test_r2():
    y = np.array([1.0, 2, 3, 6])
    o = observed(y)
    assert 1 - o.loss(numbers(np.full((4, 1), 3.0))).mean() == pytest.approx(0)  # the mean
    assert 1 - o.loss(numbers(y[:, None])).mean() == 1


def test_a_constant_output_does_not_divide_by_zero():
    assert np.isfinite(observed(np.ones(4)).loss(numbers(np.zeros((4, 1))))).all()


def test_labels_are_counted_one_by_one():
    o = observed(np.array([[0.0, 1], [1, 1], [0, 0], [0, 1]]))
    p = np.array([[0.2, 0.9], [0.9, 0.2], [0.9, 0.9], [0.2, 0.9]])
    assert o.loss(classes(*p)).tolist() == [0, 0.5, 1, 0]
    np.testing.assert_allclose(o.uncertainty(classes(*p)), (p * (1 - p)).mean(1))


def test_several_outputs_are_averaged_in_units_of_their_spread():
    y = np.array([[0.0, 0], [2, 200], [0, 0], [2, 200]])
    assert observed(y).loss(numbers(y + np.array([1.0, 100.0]))).tolist() == pytest.approx([1] * 4)


@pytest.mark.parametrize("task", ["regression", "classification", "multilabel"])
def test_methods_are_scored_by_what_they_predict(task):
    result, batch = prediction(task)
    o, predicted = Observed.of(batch), Predicted.of(result, "taylor")
    loss, u = o.loss(predicted), o.uncertainty(predicted)
    nll = metric("nll").of(o.arrays(predicted, np.repeat("a", len(batch))))
    if task == "regression":
        m = result.moments["taylor"]
        expected = -scipy.stats.norm.logpdf(batch.target, m.mean, m.sd).mean(1)
        np.testing.assert_allclose(nll, expected, rtol=1e-6)
        np.testing.assert_allclose(u, (m.variance.numpy() / o.scale**2).mean(1))
    else:
        p = result.probabilities["taylor"].numpy()
        found = p.argmax(1) if task == "classification" else (p > 0.5)
        wrong = found != batch.target.numpy()
        np.testing.assert_allclose(loss, wrong if wrong.ndim == 1 else wrong.mean(1))
        assert (u >= 0).all()
    assert nll.shape == loss.shape == (len(batch),)


def test_no_variance_no_uncertainty():
    assert observed(np.arange(4.0)).uncertainty(numbers(np.zeros((4, 1)))) is None


def test_rows_are_scored_with_the_spread_of_all():
    o = observed(np.array([1.0, 2, 3, 6]))
    part = o[np.array([True, False, False, True])]
    assert part.scale == o.scale
    assert part.loss(numbers([[1.0], [6.0]])).tolist() == [0, 0]
