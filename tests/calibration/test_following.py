import json

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sure_pyro.calibration import TemperatureScaling, VarianceRecalibration, following
from sure_pyro.calibration.following import (
    SMALLEST,
    track_factor,
    track_quantile,
    track_temperature,
)

T_RANGE = (0.05, 20.0)


def test_a_step_of_each_by_hand():
    used, last = track_quantile(np.array([[2.0], [2.0]]), 1.5, level=0.9, step=0.1)
    np.testing.assert_allclose([*used, last], [1.5, 1.5 * np.exp(0.09), 1.5 * np.exp(0.18)])
    # Half of the known scores of a row are above.
    _, last = track_quantile(np.array([[2.0, 1.0, np.nan]]), 1.5, level=0.9, step=0.1)
    assert last == pytest.approx(1.5 * np.exp(0.1 * (0.5 - 0.1)))
    used, last = track_factor(np.array([2.0, 1.0]), np.array([5.0, 0.0]), 2.0, 4.0, step=0.1)
    np.testing.assert_allclose(used, [2, 2 + 0.1 * (5 - 2 * 2) / 4])
    assert last == pytest.approx(2.025 - 0.1 * 2.025 / 4)
    used, last = track_temperature(lambda t, T: 0.3, np.array([True, False]), 1.0, T_RANGE, 0.02)
    np.testing.assert_allclose([*used, last], np.exp([0, 0.07, 0.07 - 0.03]))


errors = arrays(float, st.integers(20, 200), elements=st.floats(0, 50))


@given(e2=errors, step=st.floats(0.01, 0.3), seed=st.integers(0, 99))
def test_mean_variance_is_mean_squared_error_in_the_long_run_whatever_comes(e2, step, seed):
    """The identity is a theorem: errors are the worst that can be thought of."""
    v = np.random.default_rng(seed).uniform(0.1, 3, len(e2))  # below unit / step
    used, last = track_factor(v, e2, f=1.0, unit=1.0, step=step)
    assert (used > 0).all()
    if used.min() > SMALLEST and last > SMALLEST:
        gap = (used * v).mean() - e2.mean()
        assert gap == pytest.approx((1 - last) / (step * len(e2)), abs=1e-9)


@given(size=st.floats(1, 1e9), error=st.floats(0, 1e9))
def test_a_huge_variance_moves_the_factor_no_further_than_to_its_own_error(size, error):
    _, last = track_factor(np.array([size]), np.array([error]), 1.0, unit=1e-3, step=0.01)
    assert last == pytest.approx(max(error / size, SMALLEST))


@given(
    wrong=arrays(bool, st.integers(20, 200)), step=st.floats(0.001, 0.02), seed=st.integers(0, 99)
)
def test_claimed_errors_are_actual_errors_in_the_long_run(wrong, step, seed):
    z = np.random.default_rng(seed).normal(0, 2, (len(wrong), 4))

    def doubt(t, T):
        return 1 - scipy.special.softmax(z[t] / T).max()

    used, last = track_temperature(doubt, wrong, 1.0, T_RANGE, step)
    claimed = np.array([doubt(t, T) for t, T in enumerate(used)])
    if T_RANGE[0] < min(*used, last) and max(*used, last) < T_RANGE[1]:
        gap = 0.2 * np.log(last) / (step * len(wrong))
        assert wrong.mean() - claimed.mean() == pytest.approx(gap, abs=1e-9)


def test_a_temperature_stays_within_its_range():
    always, never = np.ones(500, bool), np.zeros(500, bool)
    assert track_temperature(lambda t, T: 0.1, always, 1.0, T_RANGE, 0.5)[1] == 20.0
    assert track_temperature(lambda t, T: 0.1, never, 1.0, T_RANGE, 0.5)[1] == 0.05


# -- the maps that follow -------------------------------------------------------------------------


def drifting(n=3000, seed=0, D=None):
    """Rows of two patterns whose errors grow to nine times their variance."""
    rng = np.random.default_rng(seed)
    shape = (n,) if D is None else (n, D)
    s2, growth = rng.uniform(0.5, 2, shape), np.linspace(1, 9, n)
    e2 = (s2.T * growth).T * rng.standard_normal(shape) ** 2
    return s2, e2, rng.choice(["a", "b"], n)


@pytest.mark.parametrize("kind", ["scale", "affine", "isotonic"])
@pytest.mark.parametrize("D", [None, 3])
def test_variances_follow_a_drift_within_every_pattern(kind, D):
    """The identity gives the gap to the last digit; it is small after 1500 rows of a pattern."""
    s2, e2, pattern = drifting(D=D)
    old = slice(0, 600)
    fit = VarianceRecalibration.fit(s2[old], e2[old], pattern[old], kind, pseudo_count=0.0)
    found, after = fit.follow(s2, e2, pattern, step=0.02)
    fixed = fit.transform(s2, pattern).value
    for name in "ab":
        k = pattern == name
        f, rows = after.followed[name]
        assert rows == k.sum()
        gap = fit.patterns[name].mean * (1 - f) / (0.02 * rows)
        assert found.value[k].mean() - e2[k].mean() == pytest.approx(gap, rel=1e-6)
        assert fixed[k].mean() < 0.5 * e2[k].mean()
        assert found.value[k].mean() > 0.85 * e2[k].mean()
    now = after.transform(s2[:9], pattern[:9]).value
    expected = [after.followed[name].value for name in pattern[:9]]
    np.testing.assert_allclose((now.T / fixed[:9].T), np.broadcast_to(expected, now.T.shape))


def test_two_parts_are_as_good_as_one_and_nothing_looks_ahead():
    s2, e2, pattern = drifting(n=400)
    fit = VarianceRecalibration.fit(s2, e2, pattern)
    whole, after = fit.follow(s2, e2, pattern)
    first, between = fit.follow(s2[:150], e2[:150], pattern[:150])
    rest, end = between.follow(s2[150:], e2[150:], pattern[150:])
    np.testing.assert_array_equal(whole.value, [*first.value, *rest.value])
    assert end.followed == after.followed


def test_a_pattern_that_was_never_met_starts_at_the_overall_fit_and_is_known_then():
    s2, e2, pattern = drifting(n=400)
    fit = VarianceRecalibration.fit(s2, e2, pattern)
    new = np.full(2, "new")
    found, after = fit.follow(np.ones(2), np.array([50.0, 0.0]), new, step=0.1)
    overall = fit.overall(np.ones(1))[0]
    assert not found.seen.any()
    f = 1 + 0.1 * (50 - overall) / fit.mean
    np.testing.assert_allclose(found.value, [overall, overall * f])
    assert after.transform(np.ones(1), new[:1]).seen.all()
    assert after.transform(np.zeros(1), new[:1]).value == 0  # known exactly stays so


def test_variances_that_follow_keep_their_dtype_and_survive_json():
    s2, e2, pattern = drifting(n=400)
    fit = VarianceRecalibration.fit(s2, e2, pattern)
    found, after = fit.follow(s2.astype(np.float32), e2, pattern)
    assert found.value.dtype == np.float32
    back = VarianceRecalibration.from_dict(json.loads(json.dumps(after.to_dict())))
    np.testing.assert_array_equal(
        back.transform(s2, pattern).value, after.transform(s2, pattern).value
    )
    table = after.to_dataframe().set_index("pattern")
    assert table["followed"].tolist() == [400, *(after.followed[p].rows for p in "ab")]
    assert table.loc["a", "factor"] == after.followed["a"].value
    again = back.follow(s2, e2, pattern)[1]
    assert again.followed["a"].rows == 2 * after.followed["a"].rows


def labelled(n=3000, seed=0):
    """Probabilities that promise what came in the first rows, labels that are random at the end."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, (n, 3))
    p = scipy.special.softmax(z, 1)
    softer = scipy.special.softmax(z / np.linspace(1, 4, n)[:, None], 1)
    y = (rng.random((n, 1)) > softer.cumsum(1)).sum(1).clip(0, 2)
    return p, y, rng.choice(["a", "b"], n)


def test_temperatures_follow_a_drift_within_every_pattern():
    p, y, pattern = labelled()
    fit = TemperatureScaling.fit(p[:600], y[:600], pattern[:600])
    found, after = fit.follow(p, y, pattern, step=0.02)
    wrong = p.argmax(1) != y
    np.testing.assert_array_equal(found.value.argmax(1), p.argmax(1))
    for name in "ab":
        k = pattern == name
        T, rows = after.followed[name]
        assert after.temperature(name) == T > 1.5 * fit.temperature(name)
        claimed = 1 - found.value[k].max(1)
        gap = 0.2 * np.log(T / fit.temperature(name)) / (0.02 * rows)
        assert wrong[k].mean() - claimed.mean() == pytest.approx(gap, rel=1e-6)
        assert claimed.mean() > 0.9 * wrong[k].mean()
        assert 1 - fit.transform(p[k], pattern[k]).value.max(1).mean() < 0.75 * wrong[k].mean()


def test_temperatures_that_follow_go_part_by_part_and_survive_json():
    p, y, pattern = labelled(n=300)
    fit = TemperatureScaling.fit(p, y, pattern)
    whole, after = fit.follow(p, y, pattern)
    first, between = fit.follow(p[:100], y[:100], pattern[:100])
    rest, end = between.follow(p[100:], y[100:], pattern[100:])
    np.testing.assert_array_equal(whole.value, np.concatenate([first.value, rest.value]))
    assert end.followed == after.followed
    back = TemperatureScaling.from_dict(json.loads(json.dumps(after.to_dict())))
    np.testing.assert_array_equal(
        back.transform(p, pattern).value, after.transform(p, pattern).value
    )
    assert after.to_dataframe()["followed"].sum() == 300
    new = after.follow(p[:5], y[:5], np.full(5, "new"))[1]
    assert new.temperature("new") != fit.overall
    assert new.transform(p[:1], np.array(["new"])).seen.all()


def test_bad_input_is_refused():
    s2, e2, pattern = drifting(n=50)
    fit = VarianceRecalibration.fit(s2, e2, pattern)
    with pytest.raises(ValueError, match="`step` must lie strictly between 0 and 1; got 1"):
        fit.follow(s2, e2, pattern, step=1.0)
    with pytest.raises(ValueError, match="`squared_error` must be non-negative"):
        fit.follow(s2, -e2, pattern)
    with pytest.raises(ValueError, match=r"Expected arrays of one shape; got `variance` \(50,\)"):
        fit.follow(s2, e2[:9], pattern)
    p, y, pattern = labelled(n=50)
    scaling = TemperatureScaling.fit(p, y, pattern)
    with pytest.raises(ValueError, match="`step` must lie strictly between 0 and 1; got 0.0"):
        scaling.follow(p, y, pattern, step=0.0)
    with pytest.raises(ValueError, match=r"`label` must lie in 0..2"):
        scaling.follow(p, y + 1, pattern)


def test_doubt_moves_with_log_temperature_about_as_the_step_assumes():
    z = np.linspace(0, 6, 200)
    slope = scipy.special.expit(z) * scipy.special.expit(-z) * z  # d(doubt) / d(log T), two classes
    assert 0.9 * following.DOUBT_PER_LOG_T < slope.max() < 1.2 * following.DOUBT_PER_LOG_T
