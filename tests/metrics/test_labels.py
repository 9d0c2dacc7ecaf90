"""Multi-label F1: the edge cases by hand, then scikit-learn and torchmetrics."""

import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as tm
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score

from sure_pyro.metrics.labels import AVERAGES, label_f1, label_metrics, predicted_labels

TARGET = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
PREDICTION = np.array([[1, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])


def matrices(fewest=2, most=5):
    return st.tuples(st.integers(1, 12), st.integers(fewest, most)).flatmap(
        lambda shape: st.tuples(*[arrays(np.int64, shape, elements=st.integers(0, 1))] * 2)
    )


def test_by_hand():
    # TP, FP, FN: label 0 (2, 0, 0), label 1 (1, 0, 0), label 2 (0, 1, 1), label 3 nothing at all.
    assert label_f1(PREDICTION, TARGET, "micro") == 2 * 3 / (2 * 3 + 1 + 1)
    assert label_f1(PREDICTION, TARGET, "macro") == (1 + 1 + 0 + 0) / 4
    assert label_f1(PREDICTION, TARGET, "weighted") == (2 * 1 + 1 * 1 + 1 * 0) / 4
    rows = [2 / 3, 4 / 5, 0]  # nothing true, nothing predicted: 0
    assert label_f1(PREDICTION, TARGET, "samples") == pytest.approx(np.mean(rows))


@given(matrices())
def test_agrees_with_scikit_learn(pair):
    y, t = pair
    for average in AVERAGES:
        expected = f1_score(t, y, average=average, zero_division=0)
        assert label_f1(y, t, average) == pytest.approx(expected)


@given(matrices())
def test_agrees_with_torchmetrics(pair):
    y, t = pair
    for average in ("micro", "macro", "weighted"):
        expected = tm.multilabel_f1_score(
            torch.from_numpy(y).float(), torch.from_numpy(t), y.shape[1], average=average
        )
        assert label_f1(y, t, average) == pytest.approx(expected.item())


@pytest.mark.parametrize("average", AVERAGES)
def test_nothing_true_and_nothing_predicted(average):
    none = np.zeros((3, 4), dtype=bool)
    assert label_f1(none, none, average) == 0
    assert label_f1(~none, none, average) == 0
    assert label_f1(none, ~none, average) == 0
    assert label_f1(~none, ~none, average) == 1


@given(matrices(1, 1))
def test_a_single_label_is_one_label_and_not_two_classes(pair):
    y, t = pair
    expected = f1_score(t[:, 0], y[:, 0], zero_division=0)
    assert label_f1(y, t, "micro") == pytest.approx(expected)
    assert label_f1(y, t, "macro") == pytest.approx(expected)
    assert label_f1(y, t, "weighted") == pytest.approx(expected)
    assert label_f1(y, t, "samples") == pytest.approx((y * t).mean())


def test_a_label_is_predicted_above_the_threshold_and_not_on_it():
    p = np.array([[0.5, np.nextafter(0.5, 1), 0.0, 1.0]])
    assert predicted_labels(p).tolist() == [[False, True, False, True]]
    assert predicted_labels(p, threshold=0.0).tolist() == [[True, True, False, True]]


def test_all_by_name():
    p = np.where(PREDICTION == 1, 0.9, 0.2)
    assert label_metrics(p, TARGET) == {
        f"{average}_f1": label_f1(PREDICTION, TARGET, average) for average in AVERAGES
    }


@pytest.mark.parametrize(
    ("prediction", "target", "average", "message"),
    [
        (PREDICTION, TARGET, "binary", "`average` must be one of .*; got 'binary'"),
        (PREDICTION, TARGET[:, :3], "micro", r"one shape; got \(3, 4\) and \(3, 3\)"),
        (PREDICTION * 0.7, TARGET, "micro", "`prediction` must hold 0 and 1; got 0 to 0.7"),
        (PREDICTION, TARGET * np.nan, "micro", "`target` must hold 0 and 1; got nan"),
        (PREDICTION[0], TARGET[0], "micro", r"shape \(N, C\), neither 0; got \(4,\)"),
        (PREDICTION[:0], TARGET[:0], "micro", r"shape \(N, C\), neither 0; got \(0, 4\)"),
    ],
)
def test_bad_labels(prediction, target, average, message):
    with pytest.raises(ValueError, match=message):
        label_f1(prediction, target, average)


@pytest.mark.parametrize("p", [np.array([[2.0, -1.0]]), np.array([[np.nan, 0.5]])])
def test_logits_are_no_probabilities(p):
    with pytest.raises(ValueError, match=r"`probability` must lie in \[0, 1\].*pass their sigmoid"):
        predicted_labels(p)


def test_names_are_no_labels():
    with pytest.raises(TypeError, match="`prediction` needs numbers; got dtype <U5"):
        label_f1(np.array([["drama"]]), np.array([["drama"]]), "micro")
