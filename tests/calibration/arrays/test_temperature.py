import json

import numpy as np
import pytest
import scipy.special

from sure_pyro.calibration.arrays import TemperatureScaling
from sure_pyro.metrics import categorical_nll, ece

TRUE = {"a": 1.0, "b": 3.0, "c": 0.5}


def predictions(n=6000, seed=0):
    """Right probabilities, then sharpened by TRUE[pattern]."""
    rng = np.random.default_rng(seed)
    pattern = rng.choice(list(TRUE), n, p=[0.6, 0.3, 0.1])
    logit = 2 * rng.standard_normal((n, 4))
    p = scipy.special.softmax(logit, axis=1)
    label = (p.cumsum(1) > rng.random((n, 1))).argmax(1)
    factor = np.vectorize(TRUE.get)(pattern)[:, None]
    return scipy.special.softmax(logit * factor, axis=1), label, pattern


def test_recovers_the_temperature_of_every_pattern():
    model = TemperatureScaling.fit(*predictions())
    for name, T in TRUE.items():
        assert model.temperature(name) == pytest.approx(T, rel=0.2)  # 600 rows: 5 % and shrinkage


def test_new_rows_are_calibrated_and_accuracy_stays():
    model = TemperatureScaling.fit(*predictions())
    p, y, pattern = predictions(seed=1)
    found = model.transform(p, pattern).value
    b = pattern == "b"
    assert ece(p[b], y[b]) > 0.1 > 0.05 > ece(found[b], y[b])
    assert categorical_nll(found, y).mean() < categorical_nll(p, y).mean() - 0.1
    np.testing.assert_array_equal(found.argmax(1), p.argmax(1))
    np.testing.assert_allclose(found.sum(1), 1)


def test_the_fit_is_the_minimum_of_the_likelihood():
    p, y, _ = predictions(n=300)
    model = TemperatureScaling.fit(p, y, np.zeros(300, dtype=int), prior_scale=np.inf)
    T = model.overall

    def nll(T):
        return categorical_nll(scipy.special.softmax(np.log(p) / T, axis=1), y).mean()

    assert nll(T) <= min(nll(T * 1.01), nll(T / 1.01))


def test_few_rows_leave_the_temperature_near_one():
    p, y, _ = predictions()
    few = {n: TemperatureScaling.fit(p[:n], y[:n], np.zeros(n, dtype=int)) for n in (12, 900)}
    raw = TemperatureScaling.fit(p[:12], y[:12], np.zeros(12, dtype=int), prior_scale=np.inf)
    assert abs(np.log(few[12].overall)) < 0.5 * abs(np.log(raw.overall))
    one = TemperatureScaling.fit(
        p[:900], y[:900], np.zeros(900, dtype=int), groups=np.zeros(900, dtype=int)
    )
    assert one.overall == pytest.approx(1)  # one group confirms nothing


def test_rare_and_new_patterns():
    p, y, pattern = predictions(n=2000)
    pattern = pattern.astype("U4")
    pattern[:3] = "rare"
    model = TemperatureScaling.fit(p, y, pattern)
    found = model.transform(p[:3], np.array(["rare", "new", "a"]))
    assert found.seen.tolist() == [True, False, True]
    assert 0 < found.weight[0] < 0.7 < found.weight[2]
    assert model.temperature("new") == pytest.approx(model.overall)


def test_perfect_rows_and_hopeless_rows_stay_finite():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [1.0, 0.0]])
    for y in (np.array([0, 1, 0]), np.array([1, 0, 1])):
        model = TemperatureScaling.fit(p, y, np.zeros(3, dtype=int))
        assert 0.05 <= model.overall <= 20
        assert np.isfinite(model.transform(p, np.zeros(3, dtype=int)).value).all()


def test_json_round_trip_is_exact_and_dtype_stays():
    p, y, pattern = predictions(n=500)
    model = TemperatureScaling.fit(p, y, pattern)
    back = TemperatureScaling.from_dict(json.loads(json.dumps(model.to_dict())))
    np.testing.assert_array_equal(
        back.transform(p, pattern).value, model.transform(p, pattern).value
    )
    single = model.transform(p.astype(np.float32), pattern).value
    assert single.dtype == np.float32
    assert model.to_dataframe()["rows"].sum() == 500


def test_bad_input_is_refused():
    p, y, pattern = predictions(n=30)
    with pytest.raises(ValueError, match="If these are logits, pass their softmax"):
        TemperatureScaling.fit(p / 2, y, pattern)
    with pytest.raises(ValueError, match="`pseudo_count` must be at least 0; got -1"):
        TemperatureScaling.fit(p, y, pattern, pseudo_count=-1.0)
