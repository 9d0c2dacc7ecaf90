import numpy as np
import pytest

from sure_pyro.evaluation.hidden import Hidden
from sure_pyro.evaluation.pairs import Pairs
from sure_pyro.metrics import attainable_correlation

N, D = 800, 4
PATTERN = np.repeat(["a", "b"], N // 2)
EVERY = np.ones(N, dtype=bool)


def hidden(scale=1.0, seed=0, between=1.0):
    """Right variances, but for `scale`; those of the second mask are `between` times as large."""
    rng = np.random.default_rng(seed)
    sigma = rng.uniform(0.3, 2, (N, 1)) * np.ones((N, D))
    sigma[N // 2 :] *= between
    truth = sigma * rng.normal(size=sigma.shape)
    return {"x": Hidden(np.arange(N), truth, 0 * truth, scale * sigma)}


def test_right_variances_look_right():
    found = Pairs.of(hidden(), PATTERN, 0).of_rows(EVERY)
    h = hidden()["x"]
    assert found["reconstruction_error"] == pytest.approx(np.square(h.truth).mean())
    # 5 standard errors: 3200 entries, of which those with the largest variance weigh most.
    assert found["variance_ratio"] == pytest.approx(1, abs=0.15)
    assert found["reconstruction_coverage"] == pytest.approx(0.9, abs=5 * 0.3 / (N * D) ** 0.5)
    assert found["correlation_within"] == pytest.approx(found["correlation_attainable"], abs=0.1)
    assert found["spearman_within"] == pytest.approx(found["spearman_attainable"], abs=0.1)


def test_a_wrong_size_is_seen_by_everything_but_the_correlations():
    right = Pairs.of(hidden(), PATTERN, 0).of_rows(EVERY)
    wrong = Pairs.of(hidden(scale=2.0), PATTERN, 0).of_rows(EVERY)
    assert wrong["variance_ratio"] == pytest.approx(4 * right["variance_ratio"])
    for worse in ("reconstruction_nll", "reconstruction_crps", "reconstruction_ence"):
        assert wrong[worse] > right[worse]
    for same in ("correlation_within", "spearman_within", "reconstruction_ause"):
        assert wrong[same] == pytest.approx(right[same])


def test_masks_of_different_difficulty_raise_the_pooled_correlation_alone():
    shuffled = hidden(between=8.0)["x"]
    rng = np.random.default_rng(1)
    sigma = np.concatenate([rng.permutation(shuffled.sigma[p == PATTERN]) for p in "ab"])
    predicted = {"x": Hidden(shuffled.where, shuffled.truth, shuffled.loc, sigma)}
    found = Pairs.of(predicted, PATTERN, 0).of_rows(EVERY)
    assert found["correlation_pooled"] > 0.3
    assert abs(found["correlation_within"]) < 5 / N**0.5


def test_attainable_is_that_of_the_calibration_room():
    h = hidden()["x"]
    found = Pairs.of({"x": h}, PATTERN, 0).of_rows(EVERY)["correlation_attainable"]
    expected = attainable_correlation(
        h.sigma, h.truth, pattern=PATTERN, repetitions=50, seed=0
    )  # truth minus a reconstruction of zero
    assert found == pytest.approx(float(expected))


def test_nothing_hidden_and_cells_too_small():
    assert Pairs.of({}, PATTERN, 0).of_rows(EVERY) == {}
    scores = Pairs.of(hidden(), PATTERN, 0)
    assert scores.of_rows(~EVERY) == {}
    few = scores.of_rows(np.arange(N) < 5)
    assert np.isnan(few["correlation_within"])  # not 0: nothing was measured
    assert np.isfinite(few["reconstruction_error"])
