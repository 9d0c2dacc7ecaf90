import json

import numpy as np
import pytest
import scipy.special
import scipy.stats

from sure_pyro.calibration.arrays import DeferralThresholds, risk_coverage_by_pattern
from sure_pyro.metrics import risk_coverage

LEVEL = np.array([-7.0, -5.0, -4.0, -6.0])  # what the same score means in each pattern


def world(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    pattern = rng.integers(0, len(LEVEL), n)
    score = rng.random(n)
    expected = scipy.special.expit(LEVEL[pattern] + 4 * score)
    return score, (rng.random(n) < expected).astype(float), pattern, expected


def true_risk(policy):
    """Risk of the accepted rows per pattern and overall, and their fraction, by integration."""
    grid = (np.arange(20000) + 0.5) / 20000
    expected = scipy.special.expit(LEVEL[:, None] + 4 * grid)
    accept = grid < np.array([policy.thresholds[k] for k in range(len(LEVEL))])[:, None]
    within = (expected * accept).sum(1) / np.maximum(accept.sum(1), 1)
    return within, (expected * accept).sum() / max(accept.sum(), 1), accept.mean()


@pytest.mark.parametrize(
    "options",
    [
        {"scope": "pattern"},
        pytest.param({"scope": "overall"}, marks=pytest.mark.slow),
        {"static": True},
    ],
)
def test_target_risk_is_respected_in_95_percent_of_200_repetitions(options):
    """Risks are exact integrals, so a repetition is right or wrong without any noise.

    By the guarantee violations are at most Binomial(200, 0.05), which exceeds 23 with 1e-4; the
    policies are conservative enough to stay within the 10 of 200 that delta itself allows.
    """
    wrong, accepted = 0, 0.0
    for seed in range(200):
        score, loss, pattern, _ = world(n=1500, seed=seed)
        policy = DeferralThresholds.fit(score, loss, pattern, max_risk=0.05, delta=0.05, **options)
        within, overall, coverage = true_risk(policy)
        wrong += (within.max() if options.get("scope") == "pattern" else overall) > 0.05
        accepted += coverage / 200
    assert wrong <= 10
    assert accepted > 0.2  # a policy that never accepts would keep any promise


def test_static_threshold_breaks_the_promise_within_patterns():
    score, loss, pattern, _ = world(n=20000)
    static = DeferralThresholds.fit(score, loss, pattern, max_risk=0.05, static=True)
    within, overall, _ = true_risk(static)
    assert overall < 0.05
    assert within.max() > 0.07


def test_same_budget_less_error_than_the_static_threshold():
    fewer = 0
    for seed in range(40):
        score, loss, pattern, _ = world(n=800, seed=seed)
        policies = [
            DeferralThresholds.fit(score, loss, pattern, budget=0.3, static=static)
            for static in (False, True)
        ]
        new = world(n=20000, seed=1000 + seed)
        reports = [policy.evaluate(new[0], new[3], new[2]) for policy in policies]
        for report in reports:
            # Quantile of 800 rows and fraction of 20000: sd 0.017; 4.5 sd.
            assert report.coverage.overall == pytest.approx(0.7, abs=0.075)
        fewer += reports[0].risk.overall < reports[1].risk.overall
    assert fewer >= 38


def test_decisions_and_reasons():
    score = np.concatenate([np.arange(100.0), np.arange(5.0)])
    loss = np.concatenate([np.arange(100) >= 80, np.zeros(5)]).astype(float)
    pattern = np.repeat(["text", "rare"], [100, 5])
    policy = DeferralThresholds.fit(score, loss, pattern, max_risk=0.1)
    found = policy.decide(
        np.array([3.0, 99.0, 1.0, 1.0]), np.array(["text", "text", "rare", "new"])
    )
    assert found.accept.tolist() == [True, False, False, False]
    assert "accepted: score 3 < 8" in found.reason[0]
    assert "deferred: score 99 >= 8" in found.reason[1]
    assert "for pattern 'text'" in found.reason[1]
    assert "5 calibration rows of pattern 'rare' promise nothing" in found.reason[2]
    assert "never seen in the fit" in found.reason[3]


def test_a_new_pattern_under_a_budget_gets_the_static_threshold_and_the_reason_says_so():
    score, loss, pattern, _ = world()
    policy = DeferralThresholds.fit(score, loss, pattern, budget=0.2)
    static = DeferralThresholds.fit(score, loss, pattern, budget=0.2, static=True)
    found = policy.decide(np.array([0.1]), np.array([99]))
    assert found.threshold[0] == static.thresholds[0]
    assert "never seen in the fit" in found.reason[0]


def test_report_by_hand():
    policy = DeferralThresholds({"a": 2.0, "b": -np.inf}, -np.inf, {}, "budget", 0.5, 0.05, False)
    score, loss = np.array([1.0, 1.5, 3.0, 0.0]), np.array([0.0, 1.0, 1.0, 0.0])
    report = policy.evaluate(score, loss, np.array(["a", "a", "a", "b"]))
    assert report.coverage.overall == 0.5
    assert report.coverage["a"] == pytest.approx(2 / 3)
    assert report.risk.overall == report.risk["a"] == 0.5
    assert np.isnan(report.risk["b"])
    table = report.to_dataframe()
    assert table.columns.tolist() == ["pattern", "coverage", "rows", "accepted", "risk"]
    assert table["accepted"].tolist() == [2, 2, 0]


@pytest.mark.parametrize("goal", [{"max_risk": 0.05}, {"budget": 0.3}])
def test_json_and_file_round_trips_are_exact(goal, tmp_path):
    score, loss, pattern, _ = world()
    for names in (pattern, np.array(["a", "b", "c", "d"])[pattern]):
        policy = DeferralThresholds.fit(score, loss, names, **goal)
        policy.save(tmp_path / "policy.json")
        for back in (
            DeferralThresholds.from_json(policy.to_json()),
            DeferralThresholds.load(tmp_path / "policy.json"),
        ):
            a, b = (p.decide(score, names) for p in (policy, back))
            np.testing.assert_array_equal(a.accept, b.accept)
            np.testing.assert_array_equal(a.reason, b.reason)
            assert vars(back) == vars(policy)
    assert [p.name for p in tmp_path.iterdir()] == ["policy.json"]
    assert json.loads(policy.to_json())["type"] == "DeferralThresholds"


def test_risk_coverage_by_pattern():
    score, loss, pattern, _ = world(n=500)
    found = risk_coverage_by_pattern(score, loss, pattern)
    assert list(found) == [0, 1, 2, 3]
    k = pattern == 2
    assert found[2].aurc == risk_coverage(score[k], loss[k]).aurc
    pattern[0] = 7
    assert 7 not in risk_coverage_by_pattern(score, loss, pattern)


def test_bad_input_is_refused():
    one, pattern = np.ones(5), np.zeros(5, dtype=int)
    with pytest.raises(ValueError, match="exactly one of `max_risk` and `budget`; got None"):
        DeferralThresholds.fit(one, one, pattern)
    with pytest.raises(ValueError, match="exactly one of `max_risk` and `budget`; got 0.1 and 0.2"):
        DeferralThresholds.fit(one, one, pattern, max_risk=0.1, budget=0.2)
    with pytest.raises(
        ValueError, match=r"`loss` must lie in \[0, 1\]; got 3 to 3. For regression"
    ):
        DeferralThresholds.fit(one, 3 * one, pattern, budget=0.1)
    with pytest.raises(ValueError, match="`max_risk` must lie strictly between 0 and 1; got 0.0"):
        DeferralThresholds.fit(one, one, pattern, max_risk=0.0)
    with pytest.raises(ValueError, match="`delta` must lie strictly between 0 and 1; got 5.0"):
        DeferralThresholds.fit(one, one, pattern, budget=0.1, delta=5.0)
    policy = DeferralThresholds.fit(one, one, pattern, budget=0.1)
    with pytest.raises(TypeError, match="the fit knows patterns such as 0"):
        policy.decide(one, np.full(5, "a"))
