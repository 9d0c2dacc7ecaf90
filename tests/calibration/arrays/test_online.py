import json

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sure_pyro.calibration.arrays import TemperatureScaling, VarianceRecalibration
from sure_pyro.calibration.arrays.online import (
    ERROR_PER_LOG_T,
    SMALLEST,
    OnlineValue,
    largest_temperature_step,
    move_factor,
    move_quantile,
    move_temperature,
    steepest_error,
    update_by_pattern,
)

LIMITS = (0.05, 20.0)


def track(start, move, n, together=False):
    """Numbers before each of n rows of one pattern, and after the last."""
    used, after = update_by_pattern(
        np.full(n, "a"), {"a": OnlineValue(start, 5)}, lambda _, x, t: move(x, t), together
    )
    assert after["a"].rows == 5 + n
    return used, after["a"].value


def test_a_row_of_each_by_hand():
    assert move_quantile(1.5, np.array([[2.0]]), 0.9, 0.1) == pytest.approx(1.5 * np.exp(0.09))
    assert move_quantile(1.5, np.array([[1.5]]), 0.9, 0.1) == pytest.approx(1.5 * np.exp(-0.01))
    v, e2 = np.array([2.0]), np.array([5.0])
    assert move_factor(2.0, v, e2, 4.0, 0.1) == pytest.approx(2 + 0.1 * (5 - 2 * 2) / 4)
    up = move_temperature(1.0, np.array([0.3]), np.array([True]), LIMITS, 0.02)
    assert up == pytest.approx(np.exp(0.02 * 0.7 / 0.2))
    down = move_temperature(1.0, np.array([0.3]), np.array([False]), LIMITS, 0.02)
    assert down == pytest.approx(np.exp(-0.02 * 0.3 / 0.2))


def test_known_scores_of_a_row_share_its_step_and_a_row_without_any_tells_nothing():
    scores = np.array([[2.0, 1.0, np.nan], [np.nan, np.nan, np.nan]])
    assert move_quantile(1.5, scores, 0.9, 0.1) == pytest.approx(1.5 * np.exp(0.1 * (0.5 - 0.1)))
    assert move_quantile(1.5, scores[1:], 0.9, 0.1) == 1.5


def test_rows_that_come_together_add_up_from_where_the_number_stood():
    scores = np.array([[2.0], [2.0], [1.0]])
    used, last = track(1.5, lambda q, t: move_quantile(q, scores[t], 0.9, 0.1), 3, together=True)
    np.testing.assert_array_equal(used, 1.5)
    assert last == pytest.approx(1.5 * np.exp(0.1 * (2 - 0.3)))
    v, e2 = np.array([1.0, 2.0]), np.array([5.0, 0.0])
    assert move_factor(2.0, v, e2, 4.0, 0.1) == pytest.approx(2 + 0.1 * (5 - 2 * 3) / 4)
    uncertain, wrong = np.array([0.3, 0.5]), np.array([True, False])
    T = move_temperature(1.0, uncertain, wrong, LIMITS, 0.02)
    assert pytest.approx(np.exp(0.02 * 0.2 / 0.2)) == T


def test_the_largest_step_aims_no_further_than_it_should():
    """A hundred rows at once, at the largest step that is taken: straight to the goal."""
    scores = np.full((100, 1), 2.0)
    assert move_quantile(1.0, scores, 0.9, 1 / 100) == pytest.approx(np.exp(0.9))
    v, e2 = np.full(100, 1.0), np.full(100, 3.0)
    assert move_factor(1.0, v, e2, 1.0, 1 / 100) == pytest.approx(3.0)
    for num_classes in (2, 10, 100):
        z = np.zeros((100, num_classes))
        z[:, 0] = 3 + np.log(num_classes - 1)  # 5 % predicted
        wrong, T, path = np.arange(100) % 4 == 0, 1.0, []
        for _ in range(60):
            uncertain = 1 - scipy.special.softmax(z / T, 1).max(1)
            T = move_temperature(
                T, uncertain, wrong, LIMITS, largest_temperature_step(num_classes) / 100
            )
            path.append(T)
        assert (np.diff(path) >= -1e-12).all()  # no swinging
        assert (1 - scipy.special.softmax(z / T, 1).max(1)).mean() == pytest.approx(0.25, abs=1e-3)


def test_a_factor_on_nothing_stays():
    assert move_factor(1.3, np.zeros(2), np.ones(2), 1.0, 0.1) == 1.3
    assert move_factor(1.3, np.zeros(2), np.zeros(2), 0.0, 0.1) == 1.3


errors = arrays(float, st.integers(20, 200), elements=st.floats(0, 50))


@given(e2=errors, step=st.floats(0.01, 0.3), seed=st.integers(0, 99), day=st.integers(1, 7))
def test_mean_variance_is_mean_squared_error_in_the_long_run_whatever_comes(e2, step, seed, day):
    """The identity is a theorem: errors are the worst that can be thought of, and come by days."""
    v = np.random.default_rng(seed).uniform(0.1, 3, len(e2)) / day  # a day stays below unit / step
    f, predicted = 1.0, []
    for t in np.split(np.arange(len(e2)), range(day, len(e2), day)):
        predicted.append(f * v[t])
        f = move_factor(f, v[t], e2[t], 1.0, step)
        assert f >= SMALLEST
    gap = np.concatenate(predicted).mean() - e2.mean()
    if f > SMALLEST and min(x.min() / v.max() for x in predicted) > SMALLEST:
        assert gap == pytest.approx((1 - f) / (step * len(e2)), abs=1e-9)


@given(size=st.floats(1, 1e9), error=st.floats(0, 1e9))
def test_a_huge_variance_moves_the_factor_no_further_than_to_its_own_error(size, error):
    last = move_factor(1.0, np.array([size]), np.array([error]), unit=1e-3, step=0.01)
    assert last == pytest.approx(max(error / size, SMALLEST))


@settings(deadline=None)
@given(
    wrong=arrays(bool, st.integers(20, 80)),
    step=st.floats(0.001, 0.02),
    seed=st.integers(0, 99),
    num_classes=st.sampled_from([2, 4, 10]),
)
def test_predicted_errors_are_observed_errors_in_the_long_run(wrong, step, seed, num_classes):
    z = np.random.default_rng(seed).normal(0, 2, (len(wrong), num_classes))

    def predicted_error(T):
        return 1 - scipy.special.softmax(z / T, 1).max(1)

    used, last = track(
        1.0,
        lambda T, t: move_temperature(T, predicted_error(T)[t], wrong[t], LIMITS, step),
        len(wrong),
    )
    predicted = np.array([predicted_error(T)[t] for t, T in enumerate(used)])
    if LIMITS[0] < min(*used, last) and max(*used, last) < LIMITS[1]:
        gap = -ERROR_PER_LOG_T * np.log(last) / (step * len(wrong))
        assert predicted.mean() - wrong.mean() == pytest.approx(gap, abs=1e-9)


def test_a_temperature_stays_within_its_range():
    uncertain = np.array([0.1])
    for wrong, end in ((True, 20.0), (False, 0.05)):
        T = 1.0
        for _ in range(500):
            T = move_temperature(T, uncertain, np.array([wrong]), LIMITS, 0.5)
        assert end == T


@pytest.mark.parametrize("num_classes", [2, 3, 10, 100])
def test_no_predicted_error_is_steeper_than_that_of_one_class_ahead_of_equal_ones(num_classes):
    rng = np.random.default_rng(0)
    z = rng.normal(0, rng.uniform(0.1, 6, (4000, 1)), (4000, num_classes))
    z[::2, 1:] = 0  # half of them near the extreme
    p = scipy.special.softmax(z, 1)
    slope = p.max(1) * (z.max(1) - (p * z).sum(1))  # d(predicted error rate) / d(log T)
    assert 0.98 * steepest_error(num_classes) < slope.max() <= steepest_error(num_classes) + 1e-4


def test_predicted_errors_move_with_log_temperature_about_as_the_step_assumes():
    assert 0.9 * ERROR_PER_LOG_T < steepest_error(2) < 1.2 * ERROR_PER_LOG_T


# -- online updates of what was fitted -------------------------------------------------------------


def drifting(n=3000, seed=0, D=None):
    """Rows of two patterns whose errors grow to nine times their variance."""
    rng = np.random.default_rng(seed)
    shape = (n,) if D is None else (n, D)
    s2, growth = rng.uniform(0.5, 2, shape), np.linspace(1, 9, n)
    e2 = (s2.T * growth).T * rng.standard_normal(shape) ** 2
    return s2, e2, rng.choice(["a", "b"], n)


@pytest.mark.parametrize("kind", ["scale", "affine", "isotonic"])
@pytest.mark.parametrize("D", [None, 3])
def test_variances_keep_up_with_a_drift_within_every_pattern(kind, D):
    """The identity gives the gap to the last digit; it is small after 1500 rows of a pattern."""
    s2, e2, pattern = drifting(D=D)
    old = slice(0, 600)
    fit = VarianceRecalibration.fit(s2[old], e2[old], pattern[old], kind, pseudo_count=0.0)
    found, after = fit.update_online(s2, e2, pattern, step=0.02)
    fixed = fit.transform(s2, pattern).value
    for name in "ab":
        k = pattern == name
        f, rows = after.online[name]
        assert rows == k.sum()
        gap = fit.patterns[name].mean * (1 - f) / (0.02 * rows)
        assert found.value[k].mean() - e2[k].mean() == pytest.approx(gap, rel=1e-6)
        assert fixed[k].mean() < 0.5 * e2[k].mean()
        assert found.value[k].mean() > 0.85 * e2[k].mean()
    now = after.transform(s2[:9], pattern[:9]).value
    expected = [after.online[name].value for name in pattern[:9]]
    np.testing.assert_allclose((now.T / fixed[:9].T), np.broadcast_to(expected, now.T.shape))


def test_two_parts_are_as_good_as_one_and_nothing_looks_ahead():
    s2, e2, pattern = drifting(n=400)
    fit = VarianceRecalibration.fit(s2, e2, pattern)
    whole, after = fit.update_online(s2, e2, pattern)
    first, between = fit.update_online(s2[:150], e2[:150], pattern[:150])
    rest, end = between.update_online(s2[150:], e2[150:], pattern[150:])
    np.testing.assert_array_equal(whole.value, [*first.value, *rest.value])
    assert end.online == after.online


def test_a_pattern_that_was_never_met_starts_at_the_overall_fit_and_is_known_then():
    s2, e2, pattern = drifting(n=400)
    fit = VarianceRecalibration.fit(s2, e2, pattern)
    new = np.full(2, "new")
    found, after = fit.update_online(np.ones(2), np.array([50.0, 0.0]), new, step=0.1)
    overall = fit.overall(np.ones(1))[0]
    assert not found.seen.any()
    f = 1 + 0.1 * (50 - overall) / fit.mean
    np.testing.assert_allclose(found.value, [overall, overall * f])
    assert after.transform(np.ones(1), new[:1]).seen.all()
    assert after.transform(np.zeros(1), new[:1]).value == 0  # known exactly stays so
    line = after.to_dataframe().set_index("pattern").loc["new"]
    assert (line["rows"], line["weight"], line["updated_rows"]) == (0, 0, 2)
    assert after.known == ["a", "b", "new"]


def test_outcomes_that_come_together_teach_after_the_last_row():
    s2, e2, pattern = drifting(n=60)
    fit = VarianceRecalibration.fit(s2, e2, pattern)
    found, after = fit.update_online(s2, e2, pattern, step=0.01, together=True)
    np.testing.assert_array_equal(found.value, fit.transform(s2, pattern).value)
    for name in "ab":
        k = pattern == name
        gap = found.value[k].mean() - e2[k].mean()
        f, n = after.online[name]
        assert gap == pytest.approx(fit.patterns[name].mean * (1 - f) / (0.01 * n))


def test_a_map_that_changes_nothing_until_it_is_updated():
    s2, e2, pattern = drifting(n=60)
    start = VarianceRecalibration.unchanged(s2)
    found = start.transform(s2, pattern)
    np.testing.assert_array_equal(found.value, s2)
    assert not found.seen.any()
    after = start.update_online(s2, e2, pattern)[1]
    assert set(after.known) == {"a", "b"}
    back = VarianceRecalibration.from_dict(json.loads(json.dumps(after.to_dict())))
    assert back.online == after.online


def test_updated_variances_keep_their_dtype_and_survive_json():
    s2, e2, pattern = drifting(n=400)
    fit = VarianceRecalibration.fit(s2, e2, pattern)
    found, after = fit.update_online(s2.astype(np.float32), e2, pattern)
    assert found.value.dtype == np.float32
    back = VarianceRecalibration.from_dict(json.loads(json.dumps(after.to_dict())))
    np.testing.assert_array_equal(
        back.transform(s2, pattern).value, after.transform(s2, pattern).value
    )
    table = after.to_dataframe().set_index("pattern")
    assert table["updated_rows"].tolist() == [400, *(after.online[p].rows for p in "ab")]
    assert table.loc["a", "factor"] == after.online["a"].value
    again = back.update_online(s2, e2, pattern)[1]
    assert again.online["a"].rows == 2 * after.online["a"].rows


def labelled(n=3000, seed=0):
    """Probabilities that are right in the first rows, labels that are random at the end."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 2, (n, 3))
    p = scipy.special.softmax(z, 1)
    softer = scipy.special.softmax(z / np.linspace(1, 4, n)[:, None], 1)
    y = (rng.random((n, 1)) > softer.cumsum(1)).sum(1).clip(0, 2)
    return p, y, rng.choice(["a", "b"], n)


def test_temperatures_keep_up_with_a_drift_within_every_pattern():
    p, y, pattern = labelled()
    fit = TemperatureScaling.fit(p[:600], y[:600], pattern[:600])
    found, after = fit.update_online(p, y, pattern, step=0.02)
    wrong = p.argmax(1) != y
    np.testing.assert_array_equal(found.value.argmax(1), p.argmax(1))
    for name in "ab":
        k = pattern == name
        T, rows = after.online[name]
        assert after.temperature(name) == T > 1.5 * fit.temperature(name)
        predicted = 1 - found.value[k].max(1)
        gap = 0.2 * np.log(T / fit.temperature(name)) / (0.02 * rows)
        assert wrong[k].mean() - predicted.mean() == pytest.approx(gap, rel=1e-6)
        assert predicted.mean() > 0.9 * wrong[k].mean()
        assert 1 - fit.transform(p[k], pattern[k]).value.max(1).mean() < 0.75 * wrong[k].mean()


def test_temperatures_are_updated_part_by_part_and_survive_json():
    p, y, pattern = labelled(n=300)
    fit = TemperatureScaling.fit(p, y, pattern)
    whole, after = fit.update_online(p, y, pattern)
    first, between = fit.update_online(p[:100], y[:100], pattern[:100])
    rest, end = between.update_online(p[100:], y[100:], pattern[100:])
    np.testing.assert_array_equal(whole.value, np.concatenate([first.value, rest.value]))
    assert end.online == after.online
    back = TemperatureScaling.from_dict(json.loads(json.dumps(after.to_dict())))
    np.testing.assert_array_equal(
        back.transform(p, pattern).value, after.transform(p, pattern).value
    )
    assert after.to_dataframe()["updated_rows"].sum() == 300
    new = after.update_online(p[:5], y[:5], np.full(5, "new"))[1]
    assert new.temperature("new") != fit.overall
    assert new.transform(p[:1], np.array(["new"])).seen.all()
    line = new.to_dataframe().set_index("pattern").loc["new"]
    assert (line["rows"], line["updated_rows"], line["used"]) == (0, 5, new.temperature("new"))
    together, end = fit.update_online(p, y, pattern, step=0.001, together=True)
    np.testing.assert_array_equal(together.value, fit.transform(p, pattern).value)
    assert end.temperature("a") != fit.temperature("a")


def test_bad_input_is_refused():
    s2, e2, pattern = drifting(n=50)
    fit = VarianceRecalibration.fit(s2, e2, pattern)
    with pytest.raises(ValueError, match="`step` must lie strictly between 0 and 1; got 1"):
        fit.update_online(s2, e2, pattern, step=1.0)
    k = {name: int((pattern == name).sum()) for name in "ab"}
    with pytest.raises(ValueError, match=rf"`step` 0.05 is too large for {max(k.values())} rows"):
        fit.update_online(s2, e2, pattern, step=0.05, together=True)
    with pytest.raises(ValueError, match="`squared_error` must be non-negative"):
        fit.update_online(s2, -e2, pattern)
    with pytest.raises(ValueError, match=r"Expected arrays of one shape; got `variance` \(50,\)"):
        fit.update_online(s2, e2[:9], pattern)
    p, y, pattern = labelled(n=50)
    scaling = TemperatureScaling.fit(p, y, pattern)
    with pytest.raises(ValueError, match="`step` must lie strictly between 0 and 1; got 0.0"):
        scaling.update_online(p, y, pattern, step=0.0)
    with pytest.raises(ValueError, match="rows of a pattern whose outcomes come together: pass at"):
        scaling.update_online(p, y, pattern, step=0.03, together=True)
    with pytest.raises(ValueError, match=r"`label` must lie in 0..2"):
        scaling.update_online(p, y + 1, pattern)
