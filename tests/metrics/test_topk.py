"""Top-k accuracy: ties by hand, then scikit-learn and torchmetrics where there are none."""

import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as tm
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import top_k_accuracy_score

from sure_pyro.metrics.topk import top_k_accuracy

SCORE = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7], [0.4, 0.35, 0.25]])


def test_by_hand():
    target = np.array([1, 0, 0])
    assert [top_k_accuracy(SCORE, target, k) for k in (1, 2, 3)] == [1 / 3, 2 / 3, 1.0]


def test_ties_count_against_the_model():
    flat, target = np.zeros((4, 3)), np.array([0, 1, 2, 0])
    assert [top_k_accuracy(flat, target, k) for k in (1, 2, 3)] == [0, 0, 1]
    pair = np.array([[1.0, 1.0, 0.0]])
    assert [top_k_accuracy(pair, np.array([0]), k) for k in (1, 2)] == [0, 1]


@given(st.integers(1, 20), st.integers(3, 6), st.integers(0, 2**32 - 1))
def test_agrees_with_others_where_there_are_no_ties(N, K, seed):
    rng = np.random.default_rng(seed)
    score, target = (
        rng.permuted(np.tile(np.arange(K) / 10, (N, 1)), axis=1),
        rng.integers(K, size=N),
    )
    for k in range(1, K):
        y = top_k_accuracy(score, target, k)
        assert y == pytest.approx(top_k_accuracy_score(target, score, k=k, labels=np.arange(K)))
        expected = tm.multiclass_accuracy(
            torch.from_numpy(score), torch.from_numpy(target), K, average="micro", top_k=k
        )
        assert y == pytest.approx(expected.item())


@pytest.mark.parametrize(
    ("score", "target", "k", "message"),
    [
        (SCORE, np.array([0, 1, 2]), 0, r"`k` must lie in 1..3, the number of classes; got 0"),
        (SCORE, np.array([0, 1, 2]), 4, r"`k` must lie in 1..3, the number of classes; got 4"),
        (SCORE, np.array([0, 1, 3]), 1, r"`target` must lie in 0..2; got 0 to 3"),
        (SCORE, np.array([0, -1, 2]), 1, r"`target` must lie in 0..2; got -1 to 2"),
        (SCORE, np.array([0, 1]), 1, r"`target` needs shape \(3,\).*; got \(2,\)"),
        (
            SCORE * np.array([[np.nan], [1], [1]]),
            np.array([0, 1, 2]),
            1,
            r"in 1 rows \(first: \[0\]",
        ),
        (SCORE[0], np.array([0]), 1, r"`score` needs shape \(N, K\), neither 0; got \(3,\)"),
        (SCORE[:0], np.array([], dtype=int), 1, r"neither 0; got \(0, 3\)"),
    ],
)
def test_bad_values(score, target, k, message):
    with pytest.raises(ValueError, match=message):
        top_k_accuracy(score, target, k)


@pytest.mark.parametrize(
    ("score", "target", "k", "message"),
    [
        (SCORE, np.array([0.0, 1.0, 2.0]), 1, "`target` needs integer classes; got dtype float64"),
        (SCORE.astype(str), np.array([0, 1, 2]), 1, "`score` needs numbers; got dtype <U"),
    ],
)
def test_bad_kinds(score, target, k, message):
    with pytest.raises(TypeError, match=message):
        top_k_accuracy(score, target, k)
