import numpy as np
import pytest

from sure_pyro.metrics import reconstructability

D, CLASSES = 12, 5


def world(rows=600, seed=0):
    """Class mean, shared part within the class, and noise of its own: variance 1 each."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, CLASSES, rows)
    means = rng.standard_normal((CLASSES, D))
    shared, noise = rng.standard_normal((2, rows, D))
    return label, means[label], shared, noise


def test_r2_and_its_split_by_hand():
    truth = np.array([[0.0], [2.0], [10.0], [12.0]])
    reconstruction = np.array([[1.0], [1.0], [11.0], [11.0]])  # the class means, exactly
    found = reconstructability(truth, reconstruction, np.array([6.0]), np.array([0, 0, 1, 1]))
    assert found.r2.estimate == pytest.approx(1 - 4 / (36 + 16 + 16 + 36))
    assert found.within.estimate == pytest.approx(0)
    # Within: 4, of which each class (n = 2, within 2) moves 2 / (n - 1) from between to within.
    assert found.between.estimate == pytest.approx(1 - (0 - 4) / (100 - 4))


def test_class_means_alone_are_seen_through():
    label, means, shared, noise = world()
    truth = means + shared + noise
    found = reconstructability(truth, means, truth.mean(0), label)
    assert found.verdict == "the class only"
    assert found.within.estimate == pytest.approx(0, abs=1e-9)
    # The class means are known exactly, so all between them is reconstructed. Their variance about
    # the grand mean is near 1 and its noise 2 D / n per class: 5 standard errors are below 0.02.
    assert found.between.estimate == pytest.approx(1, abs=0.02)
    assert found.between.lower <= found.between.estimate <= found.between.upper + 1e-9


def test_split_recovers_the_parts_that_were_planted():
    label, means, shared, noise = world(rows=4000)
    truth = means + shared + noise
    found = reconstructability(truth, means + shared, truth.mean(0), label)
    assert found.within.estimate == pytest.approx(0.5, abs=0.02)
    assert found.between.estimate == pytest.approx(1, abs=0.01)
    assert found.verdict == "most"


def test_verdicts():
    label, means, shared, noise = world()
    truth = shared + noise
    words = {
        "nothing": np.zeros_like(truth),
        "little": shared * 0.05,  # R^2 = 1 - (0.95^2 + 1) / 2 = 0.049
        "part": shared * 0.3,  # R^2 = 1 - (0.49 + 1) / 2 = 0.255
        "most": shared + 0.5 * noise,  # R^2 = 1 - 0.25 / 2
    }
    for word, reconstruction in words.items():
        found = reconstructability(truth, reconstruction, np.zeros(D))
        assert found.verdict == word
        assert word in found.meaning


def test_unrelated_reconstructions_are_nothing_at_the_stated_rate():
    rng = np.random.default_rng(0)
    wrong = 0
    for seed in range(100):
        truth, guess = rng.standard_normal((2, 150, 3))
        # A constant guess beside the mean is as good as the mean up to chance.
        found = reconstructability(truth, 0.03 * guess, np.zeros(3), seed=seed, repetitions=200)
        wrong += found.verdict != "nothing"
    assert wrong <= 13  # level 0.9: 5 % above; Binomial(100, 0.05) exceeds 13 with 5e-4


def test_interval_covers_the_population_value():
    hits = 0
    for seed in range(100):
        label, means, shared, noise = world(rows=200, seed=seed)
        found = reconstructability(
            shared + noise, shared, np.zeros(D), label, repetitions=200, seed=seed
        )
        hits += 0.5 in found.r2 and 0.5 in found.within
    assert hits >= 75  # each covers about 0.9 (a joint 0.8 at worst): Binomial(100, .85) < 75: 4e-3


def test_groups_widen_the_interval():
    label, means, shared, noise = world(rows=40)
    rows = np.repeat(np.arange(40), 10)
    truth, reconstruction = (shared + noise)[rows], shared[rows]
    kwargs = {"truth": truth, "reconstruction": reconstruction, "baseline_mean": np.zeros(D)}
    width = [
        found.r2.upper - found.r2.lower
        for found in (reconstructability(**kwargs), reconstructability(**kwargs, groups=rows))
    ]
    assert width[1] > 2 * width[0]


def test_a_target_without_spread_gives_zero():
    found = reconstructability(np.ones((5, 2)), np.zeros((5, 2)), np.ones(2), np.arange(5) % 2)
    assert found.r2.estimate == 0
    assert found.verdict == "nothing"


def test_table_has_the_split():
    label, means, shared, noise = world()
    found = reconstructability(means + noise, means, np.zeros(D), label)
    assert found.to_dataframe()["part"].tolist() == ["total", "between classes", "within classes"]


def test_bad_input_is_refused():
    x = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"`truth` \(4, 2\), `reconstruction` \(4, 3\)"):
        reconstructability(x, np.ones((4, 3)), np.ones(2))
    with pytest.raises(ValueError, match=r"`baseline_mean` needs shape \(2,\), .* got \(3,\)"):
        reconstructability(x, x, np.ones(3))
    with pytest.raises(ValueError, match="at least 2 rows to draw from; got 1"):
        reconstructability(x[:1], x[:1], np.ones(2))
