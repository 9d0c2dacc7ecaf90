import json

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sure_pyro.calibration.arrays.mondrian import MondrianQuantiles, conformal_quantile, rows_needed


def fit(scores, pattern, level=0.9, rare="pooled", minimum_rows=None, row=None, groups=None):
    return MondrianQuantiles.fit(scores, pattern, level, rare, minimum_rows, row, groups)


def test_quantile_by_hand():
    scores = np.arange(1.0, 20.0)  # 19 of them: k = ceil(20 * 0.9) = 18
    assert conformal_quantile(scores, 0.9) == 18
    assert conformal_quantile(scores, 0.95) == 19
    assert conformal_quantile(scores, 0.96) == np.inf


def test_quantile_of_families_by_hand():
    """Ten families of one score each but the first, which has 1, 2, 3, 4 a quarter each."""
    scores = np.array([1.0, 2, 3, 4, *range(5, 14)])
    family = np.array([0, 0, 0, 0, *range(1, 10)])
    assert conformal_quantile(scores, 2.5 / 11, family) == 6  # 1 + 1 + 1 >= 2.5
    assert conformal_quantile(scores, 0.5 / 11, family) == 2
    assert conformal_quantile(scores, 0.9, family) == 13
    assert conformal_quantile(scores, 0.92, family) == np.inf


@given(
    scores=arrays(float, st.integers(5, 60), elements=st.floats(0, 100)),
    level=st.floats(0.05, 0.95),
    copies=st.integers(1, 4),
)
def test_copies_of_a_score_within_its_family_tell_nothing(scores, level, copies):
    family = np.repeat(np.arange(len(scores)), copies)
    q = conformal_quantile(np.repeat(scores, copies), level, family)
    k = int(np.ceil((len(scores) + 1) * level - 1e-9))  # the definition, without families
    assert q == (np.sort(scores)[k - 1] if k <= len(scores) else np.inf)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_rows_needed_is_the_first_finite_quantile(level):
    n = rows_needed(level)
    assert np.isfinite(conformal_quantile(np.arange(float(n)), level))
    assert conformal_quantile(np.arange(float(n - 1)), level) == np.inf


def test_rare_and_unseen_patterns_get_the_pooled_quantile_with_a_warning():
    scores, pattern = np.arange(100.0), np.repeat(["often", "rare"], [95, 5])
    quantiles = fit(scores, pattern)
    with pytest.warns(UserWarning, match=r"2 mask patterns .* new \(2 rows\), rare \(1 rows\)"):
        q, guaranteed = quantiles(np.array(["often", "rare", "new", "new"]))
    assert guaranteed.tolist() == [True, False, False, False]
    assert q[1] == q[2] == conformal_quantile(scores, 0.9)
    assert q[0] == conformal_quantile(scores[:95], 0.9)


def test_or_an_infinite_one_without_a_warning():
    quantiles = fit(np.arange(100.0), np.repeat(["often", "rare"], [95, 5]), rare="infinite")
    q, guaranteed = quantiles(np.array(["often", "rare", "new"]))
    assert np.isinf(q[1:]).all()
    assert guaranteed.all()


def test_minimum_rows_raises_the_bar_and_never_lowers_it():
    pattern = np.zeros(50, dtype=int)
    assert fit(np.arange(50.0), pattern, minimum_rows=1).minimum_rows == 9
    with pytest.warns(UserWarning, match="fewer than 200 calibration rows"):
        _, guaranteed = fit(np.arange(50.0), pattern, minimum_rows=200)(pattern)
    assert not guaranteed.any()


def test_the_guarantee_is_that_of_the_beta_distribution():
    line = fit(np.arange(99.0), np.full(99, "a")).guarantee().iloc[0]
    assert line["at_least"] == 0.9
    assert line["at_most"] == pytest.approx(0.91)
    beta = scipy.stats.beta(90, 10)
    assert line["one_set_low"] == pytest.approx(beta.ppf(0.05))
    assert line["one_set_high"] == pytest.approx(beta.ppf(0.95))


def test_groups_are_what_the_guarantee_counts():
    groups = np.repeat(np.arange(20), 5)
    line = fit(np.arange(100.0), np.full(100, "a"), groups=groups).guarantee().iloc[0]
    assert (line["rows"], line["groups"]) == (100, 20)
    assert (line["at_least"], line["at_most"]) == (0.9, pytest.approx(0.9 + 2 / 21))
    assert np.isnan(line["one_set_low"])  # it depends on how rows of a group go together


def test_too_few_groups_leave_the_quantile_of_rows_without_a_guarantee():
    scores, pattern = np.arange(100.0), np.repeat(["a", "b"], 50)
    quantiles = fit(scores, pattern, groups=np.arange(100) % 8)
    with pytest.warns(UserWarning, match="fewer than 9 calibration groups .* as if these were"):
        q, guaranteed = quantiles(np.array(["a", "b"]))
    assert not guaranteed.any()
    assert q.tolist() == [
        conformal_quantile(scores[:50], 0.9),
        conformal_quantile(scores[50:], 0.9),
    ]
    assert quantiles.guarantee()["at_least"].tolist() == [0, 0]
    infinite = fit(scores, pattern, rare="infinite", groups=np.arange(100) % 8)
    assert np.isinf(infinite(np.array(["a"]))[0]).all()


def test_many_equal_shares_add_up_to_whole_families():
    """Rounding must not take the last step to a quantile that is finite: 99 families suffice."""
    scores = np.random.default_rng(0).random(99 * 10_007)
    family = np.repeat(np.arange(99), 10_007)
    assert conformal_quantile(scores, 0.99, family) == scores.max()
    assert conformal_quantile(scores, 0.99 + 1e-9, family) == np.inf


def test_entries_of_a_row_are_not_rows():
    """Eight rows of fifty entries are eight, and guarantee nothing at a level of 0.9."""
    scores, pattern, row = np.arange(400.0), np.full(400, "a"), np.repeat(np.arange(8), 50)
    assert fit(scores, pattern).guarantee()["at_least"].tolist() == [0.9]
    assert fit(scores, pattern, row=row).patterns["a"].value == np.inf
    nine = fit(np.arange(450.0), np.full(450, "a"), row=np.repeat(np.arange(9), 50))
    assert (nine.patterns["a"].value, nine.patterns["a"].rows) == (449, 9)


@settings(deadline=None)
@given(
    scores=arrays(float, st.integers(40, 120), elements=st.floats(1, 10)),
    step=st.floats(0.1, 0.9),
    cut=st.floats(0, 1),
    name=st.sampled_from(["a", "new"]),
)
def test_updated_quantiles_cover_in_the_long_run_whatever_comes(scores, step, cut, name):
    """The bound is a theorem: scores are the worst that can be thought of, and there is no luck."""
    start = fit(np.linspace(1, 10, 50), np.full(50, "a"))
    pattern, cut = np.full(len(scores), name), 1 + int(cut * (len(scores) - 2))
    used, after = start.update_online(scores, pattern, step)
    missed = (scores > used).mean()
    assert abs(missed - 0.1) <= (np.log(10) + step) / (step * len(scores)) + 1e-9
    # Two parts are as good as one, and nothing looks ahead.
    first, between = start.update_online(scores[:cut], pattern[:cut], step)
    rest, end = between.update_online(scores[cut:], pattern[cut:], step)
    np.testing.assert_array_equal(used, [*first, *rest])
    assert end.patterns == after.patterns


def test_a_step_by_hand():
    start = fit(np.arange(1.0, 20.0), np.full(19, "a"))  # the quantile is 18
    used, after = start.update_online(np.array([20.0, 5.0, 30.0]), np.array(["a", "a", "new"]), 0.1)
    np.testing.assert_allclose(used, [18, 18 * np.exp(0.09), 18])
    assert after.patterns["a"].value == pytest.approx(18 * np.exp(0.09 - 0.01))
    assert after.patterns["new"].value == pytest.approx(18 * np.exp(0.09))
    assert after.guarantee()["updated_rows"].tolist() == [2, 1]
    assert after.guarantee()["at_least"].tolist() == [0, 0]
    q, guaranteed = after(np.array(["a", "new"]))  # no warning: this is what was asked for
    np.testing.assert_allclose(q, [18 * np.exp(0.08), 18 * np.exp(0.09)])
    assert not guaranteed.any()
    with pytest.raises(ValueError, match="`step` must lie strictly between 0 and 1; got 2.0"):
        start.update_online(np.ones(1), np.array(["a"]), 2.0)


def test_a_quantile_of_zero_rises_again_and_an_infinite_one_stays():
    zero = fit(np.zeros(50), np.full(50, "a"), rare="infinite")
    used, _ = zero.update_online(np.ones(2000), np.full(2000, "a"), 0.05)
    assert (used < 1)[:600].all()  # log(1e12) / 0.045 = 614 rows from the smallest to one
    assert (used < 1)[620:].mean() < 0.15
    assert np.isinf(zero.update_online(np.ones(9), np.full(9, "new"), 0.05)[0]).all()


def test_minimum_rows_is_a_bar_for_groups_too():
    groups = np.arange(200) % 10
    assert fit(np.arange(200.0), np.full(200, "a"), groups=groups)(np.array(["a"]))[1].all()
    with pytest.warns(UserWarning, match="fewer than 50 calibration groups"):
        _, guaranteed = fit(np.arange(200.0), np.full(200, "a"), minimum_rows=50, groups=groups)(
            np.array(["a"])
        )
    assert not guaranteed.any()


def test_the_guarantee_of_a_rare_pattern_says_nothing_or_everything():
    scores, pattern = np.arange(30.0), np.repeat(["a", "b"], [25, 5])
    pooled = fit(scores, pattern).guarantee().iloc[1]
    assert (pooled["at_least"], pooled["at_most"]) == (0, 1)
    infinite = fit(scores, pattern, rare="infinite").guarantee().iloc[1]
    assert (infinite["quantile"], infinite["at_least"]) == (np.inf, 1)


def test_json_round_trip_keeps_infinity():
    quantiles = fit(np.arange(12.0), np.repeat([1, 2], [10, 2]), rare="infinite")
    back = MondrianQuantiles.from_dict(json.loads(json.dumps(quantiles.to_dict(), allow_nan=False)))
    assert back.patterns == quantiles.patterns
    assert back.pooled == quantiles.pooled
