import json
import warnings

import numpy as np
import pytest
import torch

import sure_pyro as sp
from sure_pyro.data import missing

GOALS = [{"budget": 0.3, "score": "sd"}, {"max_risk": 0.45}, {"max_risk": 0.45, "scope": "overall"}]


@pytest.fixture(scope="module")
def scene(worlds, calibrated, measured):
    masked, _, prediction = measured["classification"]
    return calibrated["classification"], worlds["classification"][1], masked.batch, prediction


def test_a_budget_is_kept_and_spent_on_what_errs(scene):
    calibrated, validation, batch, prediction = scene
    policy = sp.DeferralPolicy.fit(calibrated, validation, budget=0.3)
    found = policy.decide(prediction, batch.available)
    # 500 rows under 7 masks set the thresholds, 800 are decided: sd of a share, if all masks of
    # a row went together, sqrt(0.21 / 500 + 0.21 / 800) = 0.026; 4 sd.
    assert found.accept.mean() == pytest.approx(0.7, abs=0.105)
    wrong = (prediction.label != batch.target).numpy()
    assert wrong[found.accept].mean() < wrong.mean() < wrong[~found.accept].mean()
    report = policy.evaluate(prediction, batch)
    assert report.coverage.overall == found.accept.mean()
    assert report.risk.overall == pytest.approx(wrong[found.accept].mean())


def test_reasons_name_the_pattern(scene):
    calibrated, validation, batch, prediction = scene
    found = sp.DeferralPolicy.fit(calibrated, validation, budget=0.3).decide(prediction)
    assert found.reason[0].startswith(("accepted: score", "deferred: score"))
    assert "for pattern 'image+audio+text'" in found.reason[0]


@pytest.mark.parametrize("goal", GOALS)
def test_files_are_json_and_give_the_same_decisions(scene, tmp_path, goal):
    calibrated, validation, batch, prediction = scene
    policy = sp.DeferralPolicy.fit(calibrated, validation, **goal)
    policy.save(tmp_path / "policy.json")
    json.loads((tmp_path / "policy.json").read_text())
    for back in (
        sp.DeferralPolicy.load(tmp_path / "policy.json"),
        sp.DeferralPolicy.from_json(policy.to_json()),
    ):
        a, b = (p.decide(prediction, batch.available) for p in (policy, back))
        np.testing.assert_array_equal(a.accept, b.accept)
        np.testing.assert_array_equal(a.reason, b.reason)
        assert back.compare(prediction, batch).equals(policy.compare(prediction, batch))


def test_a_promise_to_new_groups_rests_on_one_row_of_each(scene):
    calibrated, validation, _, prediction = scene
    grouped = validation.replace(group=torch.arange(len(validation)) // 5)
    policy = sp.DeferralPolicy.fit(calibrated, grouped, max_risk=0.45)
    assert set(policy.thresholds.rows.values()) == {100}
    same = sp.DeferralPolicy.fit(calibrated, grouped, max_risk=0.45, new_groups=False)
    assert same.to_dict() == sp.DeferralPolicy.fit(calibrated, validation, max_risk=0.45).to_dict()
    with pytest.warns(UserWarning, match="has 5 groups. To promise rows of new groups .* takes at"):
        few = sp.DeferralPolicy.fit(
            calibrated, validation.replace(group=torch.arange(500) % 5), max_risk=0.1
        )
    assert not few.decide(prediction).accept.any()
    # Rows of a group that are copies of each other add nothing, and must not seem to.
    copies = sp.Batch.cat([validation[:60]] * 5).replace(group=torch.arange(60).repeat(5))
    told = sp.DeferralPolicy.fit(calibrated, copies, max_risk=0.45)
    plain = sp.DeferralPolicy.fit(calibrated, validation[:60], max_risk=0.45)
    a, b = (np.sort([*p.thresholds.thresholds.values()]) for p in (told, plain))
    np.testing.assert_allclose(a, b, rtol=1e-5)


def test_the_static_threshold_is_beside_it(scene):
    calibrated, validation, batch, prediction = scene
    policy = sp.DeferralPolicy.fit(calibrated, validation, budget=0.3)
    table = policy.compare(prediction, batch)
    assert table["pattern"].tolist()[0] == "overall"
    assert len(set(policy.static.thresholds.values())) == 1
    score = 1 - prediction.probabilities["taylor"].double().max(1).values.numpy()
    accepted = (score < policy.static.fallback).mean()
    assert table["static_coverage"][0] == pytest.approx(accepted)


def test_a_promise_over_all_patterns_rests_on_rows_that_occur_once(scene):
    calibrated, validation, batch, prediction = scene
    policy = sp.DeferralPolicy.fit(calibrated, validation, max_risk=0.45, scope="overall")
    assert sum(policy.thresholds.rows.values()) == len(validation)
    within = sp.DeferralPolicy.fit(calibrated, validation, max_risk=0.45)
    assert set(within.thresholds.rows.values()) == {len(validation)}
    assert sum(within.static.rows.values()) == len(validation)


def test_regression_counts_errors_beyond_the_tolerance(worlds):
    model, validation, new = worlds["regression"]
    prediction = model.predict(new)
    policy = sp.DeferralPolicy.fit(model, validation, budget=0.2, tolerance=5.0)
    found = policy.decide(prediction)
    wrong = ((prediction.mean[:, 0] - new.target).abs() > 5).numpy()
    report = policy.evaluate(prediction, new)
    assert report.risk.overall == pytest.approx(wrong[found.accept].mean())
    assert policy.tolerance == (5.0,)


def test_labels_are_wrong_by_their_share(worlds):
    model, validation, new = worlds["multilabel"]
    prediction = model.predict(new)
    policy = sp.DeferralPolicy.fit(model, validation, budget=0.2)
    accept = torch.from_numpy(policy.decide(prediction).accept)
    wrong = (prediction.label != new.target.long()).double().mean(1)
    risk = policy.evaluate(prediction, new).risk.overall
    assert risk == pytest.approx(float(wrong[accept].mean()))


def test_the_score_is_the_sd_that_the_method_reports(scene):
    calibrated, validation, batch, prediction = scene
    policy = sp.DeferralPolicy.fit(calibrated, validation, budget=0.6, score="sd")
    sd = prediction.moments["taylor"].sd.gather(1, prediction.label[:, None])[:, 0].numpy()
    found = policy.decide(prediction)
    np.testing.assert_array_equal(found.accept, sd < found.threshold)
    assert len(np.unique(found.threshold)) > 1
    # where all of a pattern is handed over, the reason says why
    whole = found.reason[found.threshold == -np.inf]
    assert len(whole)
    assert all("errs more than others, all of it is handed over" in reason for reason in whole)


def test_bad_input_is_refused(scene, worlds):
    calibrated, validation, batch, prediction = scene
    with pytest.raises(ValueError, match="`tolerance` is for regression; the task is class"):
        sp.DeferralPolicy.fit(calibrated, validation, budget=0.2, tolerance=1.0)
    with pytest.raises(ValueError, match="exactly one of `max_risk` and `budget`"):
        sp.DeferralPolicy.fit(calibrated, validation)
    with pytest.raises(ValueError, match=r"`score` must be one of \['error', 'sd'\]; got 'risk'"):
        sp.DeferralPolicy.fit(calibrated, validation, budget=0.2, score="risk")
    policy = sp.DeferralPolicy.fit(calibrated, validation, budget=0.2)
    with pytest.raises(ValueError, match="`available` .* is not what the prediction was made with"):
        policy.decide(prediction, ~batch.available)
    with pytest.raises(ValueError, match="of the method 'taylor'; this prediction took"):
        policy.decide(calibrated.predict(batch[:3], "none"))
    with pytest.raises(ValueError, match="Expected a stored 'DeferralPolicy'; got type 'x'"):
        sp.DeferralPolicy.from_dict({"type": "x"})
    model, validation, _ = worlds["regression"]
    with pytest.raises(ValueError, match="Regression needs a `tolerance`: the error, in units"):
        sp.DeferralPolicy.fit(model, validation, budget=0.2)
    with pytest.raises(ValueError, match="`tolerance` must be above zero; got -1"):
        sp.DeferralPolicy.fit(model, missing.mcar(validation, 0.3, 0), budget=0.2, tolerance=-1.0)


def test_a_policy_says_when_the_model_was_updated_since(scene, tmp_path):
    calibrated, validation, batch, _ = scene
    policy = sp.DeferralPolicy.fit(calibrated, validation, budget=0.3)
    updated = calibrated.update_online(validation[:20])
    prediction = updated.predict(batch)
    with pytest.warns(UserWarning, match="thresholds are for .* 20 by now.* Fit the policy again"):
        policy.decide(prediction)
    again = sp.DeferralPolicy.fit(updated, validation, budget=0.3)
    again.save(tmp_path / "policy.json")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sp.DeferralPolicy.load(tmp_path / "policy.json").decide(prediction)
