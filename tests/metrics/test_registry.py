import numpy as np
import pytest

from sure_pyro import metrics
from sure_pyro.metrics import METRICS, compute, metric
from sure_pyro.metrics.registry import CLASSES, COSTS, LATENTS, NUMBERS, RANKING, SMALLER, Metric
from sure_pyro.metrics.sets import set_coverage

N, RNG = 60, np.random.default_rng(0)
P = RNG.dirichlet(np.ones(3), N)
Y = RNG.integers(0, 3, N)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("nll", 0.1, 0.2),
        ("score", 0.9, 0.8),
        ("variance_ratio", 1.1, 0.8),
        ("variance_ratio", 0.9, 2.0),
        ("coverage", 0.88, 0.97),
    ],
)
def test_each_kind_of_metric_knows_its_better_value(name, good, bad):
    assert METRICS[name].badness(good) < METRICS[name].badness(bad)


def test_unknown_metric():
    with pytest.raises(ValueError, match="`metric` must be one of"):
        metric("beauty")
    assert metric("nll").title == "NLL (nats)"


def test_the_score_is_called_after_its_task():
    score = METRICS["score"]
    assert [score.label_for(task) for task in ("classification", "multilabel", "regression")] == [
        "accuracy",
        "label accuracy",
        "R²",
    ]
    assert METRICS["nll"].label_for("regression") == "NLL"
    assert METRICS["nll"].title_for("regression") == "NLL (nats)"


def test_the_accuracy_stands_where_no_score_does():
    arrays = {"probability": P, "label": Y}
    assert "accuracy" not in compute({CLASSES: arrays, RANKING: {"score": P.max(1)}})
    right = P.argmax(1) == Y
    found = compute({CLASSES: {**arrays, "right": right}, RANKING: {"loss": ~right}})
    assert found["accuracy"] == right.mean()
    assert "score" not in found


def test_a_function_gets_the_arrays_that_its_parameters_name():
    found = compute({CLASSES: {"probability": P, "label": Y}, RANKING: {"u": 1 - P.max(1)}})
    assert found["ece"] == metrics.ece(P, Y)
    assert found["nll"] == metrics.categorical_nll(P, Y).mean()
    assert found["coverage"] == set_coverage(P, Y, 0.9)
    assert "crps" not in found  # of numbers
    assert "ause" not in found  # no errors are given
    assert list(found) == [name for name in METRICS if name in found]


def test_levels_get_a_line_each():
    arrays = {"mean": P, "variance": P, "target": np.zeros_like(P)}
    found = compute({NUMBERS: arrays}, levels=(0.5, 0.9))
    expected = metrics.gaussian_coverage(**arrays, levels=(0.5, 0.9))
    assert [found["coverage/0.5"], found["coverage/0.9"]] == pytest.approx(expected.coverage)
    assert [found["width/0.5"], found["width/0.9"]] == pytest.approx(expected.width)
    assert "coverage" not in found


def test_a_new_metric_is_a_function_and_a_line(monkeypatch):
    def largest(probability):
        return float(probability.max())

    monkeypatch.setitem(METRICS, "largest", Metric("largest", {CLASSES: largest}, "largest"))
    assert compute({CLASSES: {"probability": P}})["largest"] == P.max()


def test_rows_keep_their_scores():
    latents = {"mean": P, "variance": P, "target": np.zeros_like(P)}
    found = metrics.registry.compute_scores({LATENTS: latents})
    assert all(value.shape == (N,) for value in found.values())
    assert METRICS["reconstruction_nll"].better == SMALLER


def test_costs_are_measured_and_not_computed():
    assert COSTS == ("fit_seconds", "predict_seconds", "parameters")
