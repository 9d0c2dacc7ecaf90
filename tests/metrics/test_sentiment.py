"""Sentiment metrics: the official edge cases by hand, then independent implementations."""

import math

import numpy as np
import pytest
import torch
import torchmetrics.functional as tm
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from sure_pyro.metrics import sentiment_metrics
from sure_pyro.metrics.sentiment import (
    SENTIMENT,
    acc5,
    acc7,
    corr,
    has0_acc2,
    has0_f1,
    mae,
    non0_acc2,
    non0_f1,
)

# Labels of the datasets are means of whole votes; predictions are anything. Halves are in both.
VALUES = st.sampled_from([k / 6 for k in range(-24, 25)])
ROWS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=30)


def arrays(rows):
    y, t = (np.array(column) for column in zip(*rows, strict=True))
    return y, t


def test_halves_go_to_the_even_number_and_ends_are_clipped():
    y = np.array([0.5, 1.5, 2.5, -0.5, -2.5, 3.5, -9.0, 2.51])
    t = np.array([0.0, 2.0, 2.0, 0.0, -2.0, 3.0, -3.0, 3.0])
    assert acc7(y, t) == 1
    assert acc7(y[2:3], np.array([3.0])) == 0  # 2.5 is 2, and not 3
    assert acc5(np.array([2.9, -3.0, 2.0]), np.array([2.0, -2.0, 3.0])) == 1
    assert acc5(np.array([1.5, 1.49]), np.array([2.0, 2.0])) == 0.5


def test_a_zero_is_positive_with_zeros_and_negative_without():
    y, t = np.array([0.0, 0.0, 0.0]), np.array([0.0, 1.0, -1.0])
    assert has0_acc2(y, t) == pytest.approx(2 / 3)
    assert non0_acc2(y, t) == 0.5


def test_a_negative_zero_is_a_zero():
    y, t = np.array([-0.0, 1.0]), np.array([-0.0, 1.0])
    assert has0_acc2(y, t) == 1
    assert non0_acc2(y, t) == 1


def test_weighted_f1_by_hand():
    y, t = np.array([1.0, 1.0, -1.0, -1.0]), np.array([1.0, 1.0, 1.0, -1.0])
    positive, negative = 2 * 2 / (2 * 2 + 0 + 1), 2 * 1 / (2 * 1 + 1 + 0)
    assert has0_f1(y, t) == pytest.approx((3 * positive + negative) / 4)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_one_class_alone(sign):
    t = sign * np.array([1.0, 2.0])
    assert (has0_f1(t, t), non0_f1(t, t), non0_acc2(t, t)) == (1, 1, 1)
    assert (has0_f1(-t, t), non0_f1(-t, t)) == (0, 0)


def test_where_nothing_is_defined():
    zeros, y = np.zeros(3), np.array([1.0, 2.0, 3.0])
    assert math.isnan(non0_acc2(y, zeros))
    assert math.isnan(non0_f1(y, zeros))
    assert has0_acc2(y, zeros) == 1
    assert corr(y, zeros) == 0
    assert corr(np.full(10, 0.1), np.arange(10.0)) == 0  # the mean of these rounds


@given(ROWS)
@settings(deadline=None, max_examples=50)
def test_two_classes_agree_with_scikit_learn(rows):
    y, t = arrays(rows)
    assert has0_acc2(y, t) == pytest.approx(accuracy_score(t >= 0, y >= 0))
    weighted = f1_score(t >= 0, y >= 0, average="weighted", zero_division=0)
    assert has0_f1(y, t) == pytest.approx(weighted)
    kept = t != 0
    if kept.any():
        assert non0_acc2(y, t) == pytest.approx(accuracy_score(t[kept] > 0, y[kept] > 0))


@given(ROWS)
@settings(deadline=None, max_examples=50)
def test_all_agree_with_torchmetrics(rows):
    y, t = arrays(rows)
    a, b = torch.tensor(y), torch.tensor(t)
    assert mae(y, t) == pytest.approx(tm.mean_absolute_error(a, b).item())
    if y.std() > 1e-6 and t.std() > 1e-6:
        assert corr(y, t) == pytest.approx(tm.pearson_corrcoef(a, b).item(), abs=1e-6)
    for metric, limit in ((acc5, 2), (acc7, 3)):
        whole = [x.clamp(-limit, limit).round().long() + limit for x in (a, b)]
        value = tm.classification.multiclass_accuracy(
            *whole, num_classes=2 * limit + 1, average="micro"
        )
        assert metric(y, t) == pytest.approx(value.item())
    kept = b != 0
    for metric, signs in (
        (has0_f1, (a >= 0, b >= 0)),
        (non0_f1, (a[kept] > 0, b[kept] > 0)),
    ):
        if len(signs[0]):
            value = tm.classification.multiclass_f1_score(
                *(x.long() for x in signs), num_classes=2, average="weighted"
            )
            assert metric(y, t) == pytest.approx(value.item())


@given(ROWS)
@settings(deadline=None, max_examples=30)
def test_order_and_precision_change_nothing(rows):
    y, t = arrays(rows)
    backwards = sentiment_metrics(y[::-1], t[::-1])
    column = sentiment_metrics(y[:, None], t[:, None])
    for name, value in sentiment_metrics(y, t).items():
        assert column[name] == pytest.approx(value, nan_ok=True)
        assert backwards[name] == pytest.approx(value, nan_ok=True)


def test_all_come_by_name():
    metrics = sentiment_metrics(np.array([1.0, -2.0]), np.array([1.0, 3.0]))
    assert list(metrics) == list(SENTIMENT)
    assert metrics["mae"] == 2.5
    assert all(type(value) is float for value in metrics.values())


@pytest.mark.parametrize(
    ("prediction", "target", "error", "text"),
    [
        (np.zeros(2), np.zeros(3), ValueError, r"one shape; got \(2,\) and \(3,\)"),
        (np.zeros(0), np.zeros(0), ValueError, r"N > 0; got \(0,\)"),
        (np.zeros((2, 2)), np.zeros((2, 2)), ValueError, r"\(N, 1\), N > 0; got \(2, 2\)"),
        (np.array([0, np.nan]), np.zeros(2), ValueError, r"`prediction`.*first: \[1\]"),
        (np.zeros(1), np.array([np.inf]), ValueError, r"`target` has NaN or infinity"),
        (np.zeros(1, bool), np.zeros(1), TypeError, r"`prediction` needs numbers; got dtype bool"),
    ],
)
def test_what_is_refused(prediction, target, error, text):
    with pytest.raises(error, match=text):
        mae(prediction, target)
