import numpy as np
import pytest

from sure_pyro.metrics.sets import probable_sets, set_coverage, set_size

P = np.array([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.5, 0.4, 0.1]])


def test_sets_by_hand():
    found = probable_sets(P, 0.9)
    assert found.tolist() == [[True, True, False], [True, False, True], [True, True, False]]
    assert set_size(P, 0.9) == 2
    assert set_size(P, 0.5) == 1  # the level is reached exactly by 0.5
    assert set_coverage(P, np.array([1, 1, 2]), 0.9) == pytest.approx(1 / 3)


def test_right_probabilities_are_covered_as_often_as_they_claim():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(5), 20000)
    y = (p.cumsum(1) > rng.random((20000, 1))).argmax(1)
    for level in (0.5, 0.9):
        predicted = (p * probable_sets(p, level)).sum(1)
        assert predicted.min() >= level - 1e-9
        # A binomial share of 20000 rows: sd below 0.0036; 4 sd.
        assert set_coverage(p, y, level) == pytest.approx(predicted.mean(), abs=0.0145)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="`level` must lie strictly between 0 and 1; got 1"):
        probable_sets(P, 1.0)
    with pytest.raises(ValueError, match="Each row of `probability` must sum to 1"):
        set_size(2 * P / 3, 0.5)
