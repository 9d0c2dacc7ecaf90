import numpy as np
import pytest
import scipy.special

from sure_pyro.metrics import brier_decomposition, categorical_brier


def predictions(rows=3000, temperature=1.0, seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((rows, 3))
    p = scipy.special.softmax(logits, axis=1)
    label = (p.cumsum(1) > rng.random((rows, 1))).argmax(1)
    return scipy.special.softmax(logits / temperature, axis=1), label


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_parts_add_up_to_the_score_and_are_not_negative(temperature):
    p, y = predictions(temperature=temperature)
    found = brier_decomposition(p, y)
    assert found.brier == pytest.approx(categorical_brier(p, y).mean())
    total = found.miscalibration - found.discrimination + found.uncertainty
    assert total == pytest.approx(found.brier)
    assert min(found.miscalibration, found.discrimination, found.uncertainty) >= 0


def test_miscalibration_grows_and_discrimination_stays_when_probabilities_are_sharpened():
    right, sharp = (brier_decomposition(*predictions(temperature=t)) for t in (1.0, 0.3))
    assert right.miscalibration < 0.02 < 0.05 < sharp.miscalibration
    assert right.uncertainty == sharp.uncertainty


def test_base_rates_are_pure_uncertainty():
    y = np.array([0, 0, 0, 1])
    found = brier_decomposition(np.tile([0.75, 0.25], (4, 1)), y)
    assert found.brier == found.uncertainty == pytest.approx(2 * 0.75 * 0.25)
    assert found.miscalibration == pytest.approx(0)
    assert found.discrimination == pytest.approx(0)


def test_perfect_prediction_has_no_brier_score():
    found = brier_decomposition(np.eye(2)[[0, 1, 1]], np.array([0, 1, 1]))
    assert found.brier == 0
    assert found.discrimination == pytest.approx(found.uncertainty)
