import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import accuracy_score, f1_score, log_loss, r2_score

from sure_pyro.compare.outcome import Outcome
from sure_pyro.compare.scorer import Scorer
from sure_pyro.compare.task_scores import TaskScores

N, RNG = 400, np.random.default_rng(0)
EVERY = np.ones(N, dtype=bool)
PATTERN = np.repeat(["a", "b"], N // 2)


def scores(task, target, rows=EVERY, scale=None, **said):
    outcome = Outcome(said.pop("mean", np.zeros((N, 1))), **said)
    scorer = Scorer(task, target, np.ones(1) if scale is None else scale)
    return TaskScores.of(scorer, outcome, PATTERN).of_rows(rows)


def test_classes_by_scikit_learn():
    p = RNG.dirichlet(np.ones(3), N)
    y = np.array([RNG.choice(3, p=row) for row in p])  # right probabilities
    found = scores("classification", y, probabilities=p)
    assert found["score"] == pytest.approx(accuracy_score(y, p.argmax(1)))
    assert found["f1"] == pytest.approx(f1_score(y, p.argmax(1), average="macro"))
    assert found["nll"] == pytest.approx(log_loss(y, p))
    assert found["output_ratio"] == pytest.approx(1, abs=0.15)  # claimed Brier is the actual one
    assert found["ece"] < 0.12
    assert found["output_correlation"] > 0.1
    assert "crps" not in found


def test_numbers_by_scipy():
    variance = RNG.uniform(0.2, 2, (N, 1))
    mean = RNG.normal(size=(N, 1))
    y = mean + np.sqrt(variance) * RNG.normal(size=(N, 1))
    found = scores("regression", y, mean=mean, variance=variance, scale=y.std(0))
    assert found["score"] == pytest.approx(r2_score(y, mean))
    assert found["rmse"] == pytest.approx(np.sqrt(np.square(y - mean).mean()))
    nll = -scipy.stats.norm(mean, np.sqrt(variance)).logpdf(y).mean()
    assert found["nll"] == pytest.approx(nll)
    # 5 standard errors of a share of 0.9 among 400, and of a mean of chi-squares.
    assert found["coverage"] == pytest.approx(0.9, abs=5 * 0.3 / N**0.5)
    assert found["output_ratio"] == pytest.approx(1, abs=0.5)
    assert {"crps", "uce", "ence", "aurc", "ause"} <= set(found)
    assert "ece" not in found


def test_labels_are_scored_together():
    p = RNG.uniform(size=(N, 4))
    y = (RNG.uniform(size=p.shape) < p).astype(float)
    found = scores("multilabel", y, probabilities=p)
    assert found["score"] == pytest.approx(((p > 0.5) == (y > 0.5)).mean())
    assert found["nll"] == pytest.approx(log_loss(y.ravel(), p.ravel()))
    assert found["brier"] == pytest.approx(np.square(p - y).mean())
    assert found["output_ratio"] == pytest.approx(1, abs=0.15)
    assert found["ece"] < 0.1


def test_a_model_without_variance_is_scored_on_its_answers_alone():
    y = RNG.normal(size=(N, 1))
    found = scores("regression", y, mean=y + 1, scale=y.std(0))
    assert set(found) == {"score", "rmse"}
    assert found["rmse"] == pytest.approx(1)


def test_a_slice_is_scored_on_its_rows():
    p = np.full((N, 2), 0.5)
    p[: N // 2] = [0.9, 0.1]
    first = np.arange(N) < N // 2
    found = scores("classification", np.zeros(N, dtype=int), first, probabilities=p)
    assert found["nll"] == pytest.approx(-np.log(0.9))
    assert found["ece"] == pytest.approx(0.1)
