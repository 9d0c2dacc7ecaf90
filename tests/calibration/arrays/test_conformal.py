import json

import numpy as np
import pytest
import scipy.special
import scipy.stats

from sure_pyro.calibration.arrays import ConformalIntervals, ConformalSets
from sure_pyro.metrics.intervals import interval_coverage

LEVEL, REPETITIONS, TEST_ROWS = 0.9, 200, 300
CALIBRATION = {"audio": 60, "audio+text": 250, "text": 120}  # rows per pattern
# Wrong by a different factor in each pattern, and not Gaussian: only calibration can repair it.
FACTOR = {"audio": 3.0, "audio+text": 0.5, "text": 1.0}


def regression(rng, rows):
    pattern = np.repeat(list(rows), list(rows.values()))
    mean, sd = rng.standard_normal(len(pattern)), rng.uniform(0.5, 2, len(pattern))
    factor = np.vectorize(FACTOR.get)(pattern)
    y = mean + sd * factor * rng.standard_t(4, len(pattern))
    return mean, sd**2, y, pattern


def classes(rng, rows):
    pattern = np.repeat(list(rows), list(rows.values()))
    logit = 2 * rng.standard_normal((len(pattern), 5))
    p = scipy.special.softmax(logit, axis=1)
    label = (p.cumsum(1) > rng.random((len(pattern), 1))).argmax(1)
    factor = np.vectorize(FACTOR.get)(pattern)[:, None]
    return scipy.special.softmax(factor * logit, axis=1), label, pattern


def covered_intervals(rng):
    mean, variance, y, pattern = regression(rng, CALIBRATION)
    model = ConformalIntervals.fit(mean, variance, y, pattern, LEVEL)
    mean, variance, y, pattern = regression(rng, dict.fromkeys(CALIBRATION, TEST_ROWS))
    found = model.predict(mean, variance, pattern)
    return (found.lower <= y) & (y <= found.upper), pattern


def covered_sets(rng):
    model = ConformalSets.fit(*classes(rng, CALIBRATION), LEVEL)
    p, y, pattern = classes(rng, dict.fromkeys(CALIBRATION, TEST_ROWS))
    return model.predict(p, pattern).contains[np.arange(len(y)), y], pattern


@pytest.mark.parametrize("covered", [covered_intervals, covered_sets])
def test_coverage_per_pattern_over_200_repetitions_follows_the_theory(covered):
    """Hits of a repetition are beta-binomial: Beta(k, n + 1 - k) coverage, then 300 new rows.

    Two tests per pattern. The mean of 200 repetitions against k / (n + 1), by 4 standard errors:
    false alarm 6e-5. And how many of them fall in the central 90 % of the beta-binomial, which sees
    a wrong spread as well: false alarm 1e-4. Six tests in all: below 6e-4.
    """
    rng = np.random.default_rng(20240)
    hits = {name: np.empty(REPETITIONS) for name in CALIBRATION}
    for r in range(REPETITIONS):
        hit, pattern = covered(rng)
        for name in CALIBRATION:
            hits[name][r] = hit[pattern == name].sum()
    for name, n in CALIBRATION.items():
        k = int(np.ceil((n + 1) * LEVEL))
        theory = scipy.stats.betabinom(TEST_ROWS, k, n + 1 - k)
        assert LEVEL <= theory.mean() / TEST_ROWS <= LEVEL + 1 / (n + 1)
        assert abs(hits[name].mean() - theory.mean()) < 4 * theory.std() / np.sqrt(REPETITIONS)
        low, high = theory.interval(0.9)
        inside = ((low <= hits[name]) & (hits[name] <= high)).sum()
        share = theory.cdf(high) - theory.cdf(low - 1)  # a little above 0.9: it is discrete
        assert scipy.stats.binom.ppf(5e-5, REPETITIONS, share) <= inside
        assert inside <= scipy.stats.binom.ppf(1 - 5e-5, REPETITIONS, share)


def speakers(rng, number):
    """Groups that err by a factor of their own, and have 20 to 40 rows."""
    group = np.repeat(np.arange(number), rng.integers(20, 41, number))
    factor = np.exp(rng.standard_normal(number))[group]
    return factor * rng.standard_normal(len(group)), group


def share_of_new_groups(rng, num_groups, whole):
    """Calibrate on some speakers; the share of 20 others that is covered, on average."""
    y, group = speakers(rng, num_groups)
    zero, pattern = np.zeros(len(y)), np.zeros(len(y), dtype=int)
    groups = group if whole else None
    model = ConformalIntervals.fit(zero, 1 + zero, y, pattern, LEVEL, groups=groups)
    new, other = speakers(rng, 20)
    found = model.predict(0 * new, 1 + 0 * new, np.zeros(len(new), dtype=int))
    inside = (found.lower <= new) & (new <= found.upper)
    return np.mean([inside[other == g].mean() for g in range(20)])


def test_new_groups_are_covered_over_500_repetitions():
    """At least 0.9 on average over sets of 9 groups, by 4 standard errors: false alarm 3e-5.

    Rows taken as independent miss that bound here; that is what groups are for.
    """
    rng = np.random.default_rng(7)
    whole, rows = (
        np.array([share_of_new_groups(rng, 9, whole) for _ in range(500)])
        for whole in (True, False)
    )
    assert whole.mean() >= LEVEL - 4 * whole.std() / np.sqrt(500)
    assert rows.mean() < LEVEL - 4 * rows.std() / np.sqrt(500)


def test_calibrated_overall_is_not_calibrated_within():
    """What the patterns are for: one quantile for all misses by far in two of three."""
    rng = np.random.default_rng(1)
    mean, variance, y, pattern = regression(rng, dict.fromkeys(CALIBRATION, 2000))
    one = ConformalIntervals.fit(mean, variance, y, np.zeros(len(y), dtype=int), LEVEL)
    found = one.predict(mean, variance, np.zeros(len(y), dtype=int))
    within = {
        p: interval_coverage(found.lower[k], found.upper[k], y[k])
        for p in CALIBRATION
        for k in [pattern == p]
    }
    assert interval_coverage(found.lower, found.upper, y) == pytest.approx(LEVEL, abs=0.01)
    assert within["audio"] < 0.8
    assert within["audio+text"] > 0.98


def drifting(rng, rows):
    """Errors that triple over the rows, and whose predicted variance stays."""
    sd = np.linspace(1, 3, rows)
    return np.zeros(rows), np.ones(rows), sd * rng.standard_normal(rows), np.full(rows, "a")


def test_updated_intervals_cover_while_the_world_drifts():
    """4000 rows: the theorem leaves (log(b / a) + eta) / (eta T), some 5 %; in fact it is 1 %."""
    rng = np.random.default_rng(5)
    mean, variance, y, pattern = drifting(rng, 4000)
    model = ConformalIntervals.fit(mean[:300], variance[:300], y[:300], pattern[:300])
    fixed = model.predict(mean, variance, pattern)
    found, after = model.update_online(mean, variance, y, pattern)
    assert interval_coverage(fixed.lower, fixed.upper, y) < 0.75
    assert interval_coverage(found.lower, found.upper, y) == pytest.approx(0.9, abs=0.01)
    late = slice(2000, None)
    assert interval_coverage(found.lower[late], found.upper[late], y[late]) > 0.88
    half = (after.predict(mean[:1], variance[:1], pattern[:1]).upper)[0]
    assert half == pytest.approx(1.645 * 3, rel=0.25)


def test_updated_sets_cover_while_the_world_drifts():
    rng = np.random.default_rng(6)
    p, _, pattern = classes(rng, {"text": 4000})
    sharp = scipy.special.softmax(np.linspace(1, 0.2, 4000)[:, None] * np.log(p), axis=1)
    label = (sharp.cumsum(1) > rng.random((4000, 1))).argmax(1)  # less and less predictable
    model = ConformalSets.fit(p[:300], label[:300], pattern[:300])
    found, _ = model.update_online(p, label, pattern)
    rows = np.arange(4000)
    assert model.predict(p, pattern).contains[rows, label].mean() < 0.85
    assert found.contains[rows, label].mean() == pytest.approx(0.9, abs=0.01)
    assert not found.guaranteed.any()


def test_warnings_are_about_the_line_that_asked():
    one, pattern = np.ones(20), np.zeros(20, dtype=int)
    model = ConformalIntervals.fit(one, one, one, pattern, groups=pattern)
    with pytest.warns(UserWarning, match="calibration groups") as told:
        model.predict(one, one, pattern)
    assert told[0].filename == __file__


def test_intervals_by_hand():
    y = np.arange(1.0, 10.0)  # scores 1..9 at sigma = 1: k = ceil(10 * 0.9) = 9
    model = ConformalIntervals.fit(np.zeros(9), np.ones(9), y, np.zeros(9, dtype=int))
    found = model.predict(np.array([5.0]), np.array([4.0]), np.array([0]))
    assert (found.lower[0], found.upper[0]) == (5 - 18, 5 + 18)


def test_several_outputs_are_covered_at_once():
    rng = np.random.default_rng(2)
    mean, variance = np.zeros((4000, 3)), np.ones((4000, 3))
    y, pattern = rng.standard_normal((4000, 3)), np.zeros(4000, dtype=int)
    half = slice(2000, None)
    model = ConformalIntervals.fit(mean[:2000], variance[:2000], y[:2000], pattern[:2000])
    found = model.predict(mean[half], variance[half], pattern[half])
    joint = ((found.lower <= y[half]) & (y[half] <= found.upper)).all(1).mean()
    assert joint == pytest.approx(0.9, abs=4 * np.sqrt(0.09 * 2 / 2000))


def test_sets_by_hand():
    p = np.array([[0.9, 0.1]] * 9)
    label = np.array([0] * 8 + [1])  # scores 0.1 (eight times) and 0.9: the 9th is 0.9
    model = ConformalSets.fit(p, label, np.zeros(9, dtype=int))
    found = model.predict(np.array([[0.95, 0.05], [0.5, 0.5]]), np.zeros(2, dtype=int))
    assert found.contains.tolist() == [[True, False], [True, True]]
    assert found.size.tolist() == [1, 2]


def test_agrees_with_crepes_where_every_pattern_was_seen():
    crepes = pytest.importorskip("crepes")
    rng = np.random.default_rng(3)
    mean, variance, y, pattern = regression(rng, CALIBRATION)
    reference = crepes.ConformalRegressor()
    reference.fit(residuals=y - mean, sigmas=np.sqrt(variance), bins=pattern)
    expected = reference.predict_int(mean, sigmas=np.sqrt(variance), bins=pattern, confidence=0.9)
    found = ConformalIntervals.fit(mean, variance, y, pattern).predict(mean, variance, pattern)
    np.testing.assert_allclose(np.stack([found.lower, found.upper], 1), expected)


def test_json_round_trip_is_exact():
    rng = np.random.default_rng(4)
    mean, variance, y, pattern = regression(rng, CALIBRATION)
    model = ConformalIntervals.fit(mean, variance, y, pattern)
    back = ConformalIntervals.from_dict(json.loads(json.dumps(model.to_dict())))
    a, b = (m.predict(mean, variance, pattern) for m in (model, back))
    np.testing.assert_array_equal(a.upper, b.upper)
    p, label, pattern = classes(rng, CALIBRATION)
    sets = ConformalSets.fit(p, label, pattern)
    back = ConformalSets.from_dict(json.loads(json.dumps(sets.to_dict())))
    np.testing.assert_array_equal(
        sets.predict(p, pattern).contains, back.predict(p, pattern).contains
    )
    assert len(sets.guarantee()) == len(model.guarantee()) == 3


def test_bad_input_is_refused():
    one, pattern = np.ones(20), np.zeros(20, dtype=int)
    with pytest.raises(ValueError, match="`variance` must be above zero; its minimum is 0"):
        ConformalIntervals.fit(one, 0 * one, one, pattern)
    with pytest.raises(ValueError, match="`level` must lie strictly between 0 and 1; got 1.0"):
        ConformalIntervals.fit(one, one, one, pattern, level=1.0)
    model = ConformalIntervals.fit(one, one, one, pattern)
    with pytest.raises(TypeError, match="the fit knows patterns such as 0"):
        model.predict(one, one, np.full(20, "a"))
    with pytest.raises(ValueError, match="Expected a stored 'ConformalSets'"):
        ConformalSets.from_dict(model.to_dict())
