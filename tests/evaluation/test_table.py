import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import accuracy_score, f1_score, log_loss, r2_score

from sure_pyro.evaluation import evaluate, score
from sure_pyro.evaluation.observed import Observed
from sure_pyro.evaluation.predicted import Predicted
from sure_pyro.evaluation.table import evaluate_filling
from sure_pyro.metrics import METRICS, compute

N, RNG = 400, np.random.default_rng(0)
EVERY = np.ones(N, dtype=bool)
PATTERN = np.repeat(["a", "b"], N // 2)


def scores(task, target, rows=EVERY, scale=None, **given):
    predicted = Predicted(given.pop("mean", np.zeros((N, 1))), **given)
    observed = Observed(task, target, np.ones(1) if scale is None else scale)
    return compute(observed[rows].arrays(predicted[rows], PATTERN[rows]))


def test_classes_by_scikit_learn():
    p = RNG.dirichlet(np.ones(3), N)
    y = np.array([RNG.choice(3, p=row) for row in p])  # right probabilities
    found = scores("classification", y, probability=p)
    assert found["score"] == pytest.approx(accuracy_score(y, p.argmax(1)))
    assert found["f1"] == pytest.approx(f1_score(y, p.argmax(1), average="macro"))
    assert found["nll"] == pytest.approx(log_loss(y, p))
    assert found["output_ratio"] == pytest.approx(1, abs=0.15)  # the Brier score is the predicted
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
    found = scores("multilabel", y, probability=p)
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
    found = scores("classification", np.zeros(N, dtype=int), first, probability=p)
    assert found["nll"] == pytest.approx(-np.log(0.9))
    assert found["ece"] == pytest.approx(0.1)


def test_one_tidy_table_of_a_model_and_masks(model, masked):
    found = evaluate(model, masked, seed=0)
    t = found.table
    assert list(t.columns) == ["kind", "slice", "rows", "metric", "value"]
    assert set(t["kind"]) == {"overall", "hidden", "pattern"}
    assert not t.duplicated(["kind", "slice", "metric"]).any()
    assert list(dict.fromkeys(t["metric"])) == [m for m in METRICS if m in set(t["metric"])]
    assert {"nll", "score", "variance_ratio", "correlation_attainable"} <= set(t["metric"])
    assert score(found.predicted, masked, found.hidden).equals(t)
    nothing_hidden = t[(t["kind"] == "hidden") & (t["slice"] == "0")]
    assert "variance_ratio" not in set(nothing_hidden["metric"])


def test_a_filling_states_no_reconstruction(model, masked):
    t = evaluate_filling(model, masked, "zero").table
    assert {"nll", "score"} <= set(t["metric"])
    assert not t["metric"].str.startswith("reconstruction").any()
