import warnings

import numpy as np
import pytest
import scipy.stats
import torch

import sure_pyro as sp
from sure_pyro.calibration.arrays import Intervals
from sure_pyro.data import every_mask, missing
from sure_pyro.metrics import per_pattern


def covered(fitted, prediction, target):
    return covered_by(fitted.predict(prediction), target)


def covered_by(found, target):
    if isinstance(found, Intervals):
        y = target.reshape(found.lower.shape)
        return ((found.lower <= y) & (y <= found.upper)).all(1)
    return found.contains[np.arange(len(target)), target]


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("calibrate", [False, True])
def test_coverage_within_every_pattern_follows_the_theory(
    worlds, calibrated, measured, task, calibrate
):
    """Hits on 800 new rows are beta-binomial after 500 calibration rows; 7 patterns, 4 cases.

    Bounds at 1e-5 on either side: false alarm below 28 * 2e-5 = 6e-4. That the same rows size the
    scales costs nothing here: a factor per pattern cancels in the intervals, and moves sets little.
    """
    model, validation, new = worlds[task]
    fitted = sp.conformal(calibrated[task] if calibrate else model, validation, level=0.9)
    masked, *predictions = measured[task]
    hit = covered(fitted, predictions[calibrate], masked.batch.target.numpy())
    n, k = len(validation), int(np.ceil((len(validation) + 1) * 0.9))
    low, high = scipy.stats.betabinom(len(new), k, n + 1 - k).interval(1 - 2e-5)
    found = per_pattern(np.mean, hit, pattern=masked.pattern)
    assert len(found.value) == 7
    if task == "classification" and not calibrate:
        high = len(new)  # unsharp probabilities tie, and ties can only add coverage
    assert (found.value * len(new) >= low).all()
    assert (found.value * len(new) <= high).all()


def test_the_guarantee_states_its_slack(worlds):
    model, validation, _ = worlds["regression"]
    table = sp.conformal(model, validation, level=0.9).guarantee()
    assert len(table) == 7
    assert (table["rows"] == len(validation)).all()
    np.testing.assert_allclose(table["at_least"], 0.9)
    np.testing.assert_allclose(table["at_most"], 0.9 + 1 / 501)


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_new_groups_are_guaranteed_only_by_many_groups(worlds, task):
    model, validation, new = worlds[task]
    prediction = model.predict(new[:5])
    many, few = (validation.replace(group=torch.arange(500) % n) for n in (20, 8))
    fitted = sp.conformal(model, many)
    assert fitted.predict(prediction).guaranteed.all()
    np.testing.assert_allclose(fitted.guarantee()["at_most"], 0.9 + 2 / 21)
    with pytest.warns(UserWarning, match="fewer than 9 calibration groups"):
        assert not sp.conformal(model, few).predict(prediction).guaranteed.any()
    same = sp.conformal(model, few, new_groups=False)
    assert same.predict(prediction).guaranteed.all()
    assert same.to_dict() == sp.conformal(model, validation).to_dict()


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_online_updates_cover_in_the_long_run_under_every_mask(worlds, measured, task):
    """Calibrated on targets that the model meets, updated with targets that it does not.

    Summed up, the steps of a quantile say exactly by how much coverage misses the level.
    """
    model, validation, new = worlds[task]
    held_out = every_mask(validation).batch
    easy = model.predict(held_out)
    met = easy.label if task == "classification" else easy.mean[:, 0] + 0.3 * held_out.target
    fixed = now = sp.conformal(model, held_out.replace(target=met), masks="recorded")
    pattern, updated = [], []
    for day in (new[i : i + 40] for i in range(0, len(new), 40)):
        masked = every_mask(day)
        prediction, target = model.predict(masked.batch), masked.batch.target.numpy()
        pattern.append(masked.pattern)
        updated.append(covered_by(now.predict(prediction), target))
        now = now.update_online(model, day, step=1 / 40)
    pattern = np.concatenate(pattern)
    updated = per_pattern(np.mean, np.concatenate(updated), pattern=pattern).value
    every = measured[task][0]
    before = covered_by(fixed.predict(measured[task][1]), every.batch.target.numpy())
    assert (per_pattern(np.mean, before, pattern=every.pattern).value < 0.87).all()
    first, last = (
        np.array([f.fitted.quantiles.patterns[p].value for p in np.unique(pattern)])
        for f in (fixed, now)
    )
    np.testing.assert_allclose(updated, 0.9 - np.log(last / first) / 20, rtol=1e-6)
    assert (updated > 0.86).all()
    assert not now.predict(prediction).guaranteed.any()
    with pytest.raises(ValueError, match="`batch` has no targets"):
        now.update_online(model, new.replace(target=None))


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_where_the_model_was_updated_since_nothing_is_promised(worlds, calibrated, task):
    _, validation, new = worlds[task]
    calibrated = calibrated[task]
    intervals, latents = (
        sp.conformal(calibrated, validation),
        sp.conformal_latents(calibrated, validation),
    )
    updated = calibrated.update_online(new[:20])
    prediction = updated.predict(missing.pattern(new[50:90], ["image", "text"]))
    with pytest.warns(UserWarning, match="after online updates with 0 rows; it has had 20 by now"):
        found = intervals.predict(prediction)
    full = found.contains.all(1) if task == "classification" else False
    assert not (found.guaranteed & ~full).any()
    with pytest.warns(UserWarning, match="Pass the same rows to their `update_online`, or fit"):
        assert not latents.predict(prediction)["audio"].guaranteed.any()
    intervals, latents = (x.update_online(calibrated, new[:20]) for x in (intervals, latents))
    early = calibrated.predict(new[50:60])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # updated with the same rows, or fitted again: no warning
        for p in (early, prediction):  # whether the model was updated with them or not
            assert not intervals.predict(p).guaranteed.any()
            latents.predict(p)
        again = sp.conformal(updated, validation)
        assert again.predict(prediction).guaranteed.all()
        assert type(again).from_json(again.to_json()).predict(prediction).guaranteed.all()
    later = updated.update_online(new[20:40]).predict(new[90:])
    with pytest.warns(UserWarning, match="after online updates with 20 rows; it has had 40 by now"):
        intervals.predict(later)


def test_an_infinite_interval_covers_after_any_update_of_the_model(worlds, calibrated):
    _, validation, new = worlds["regression"]
    calibrated = calibrated["regression"]
    intervals = sp.conformal(calibrated, validation, masks="recorded", rare="infinite")
    prediction = calibrated.update_online(new[:20]).predict(missing.pattern(new[50:90], ["image"]))
    with pytest.warns(UserWarning, match="its variances are others"):
        assert intervals.predict(prediction).guaranteed.all()


def test_a_pattern_never_met_is_not_guaranteed(worlds):
    model, validation, new = worlds["regression"]
    shown = missing.pattern(new[:5], ["audio"])
    pooled = sp.conformal(model, validation, masks="recorded")
    with pytest.warns(UserWarning, match="audio"):
        assert not pooled.predict(model.predict(shown)).guaranteed.any()
    infinite = sp.conformal(model, validation, masks="recorded", rare="infinite")
    assert np.isinf(infinite.predict(model.predict(shown)).upper).all()


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("method", ["taylor", "sampling", "none"])
def test_file_round_trip_is_exact(worlds, tmp_path, task, method):
    model, validation, new = worlds[task]
    options = {"num_samples": 20} if method == "sampling" else {}
    fitted = sp.conformal(model, validation[:60], propagate=method, **options)
    fitted.save(tmp_path / "conformal.json")
    back = sp.Conformal.load(tmp_path / "conformal.json")
    prediction = model.predict(every_mask(new[:10]).batch, method, **options)
    a, b = (vars(f.predict(prediction)) for f in (fitted, back))
    for name, value in a.items():
        np.testing.assert_array_equal(b[name], value)


def test_bad_input_is_refused(worlds):
    model, validation, new = worlds["regression"]
    with pytest.raises(ValueError, match="`propagate` must be one of .*; got 'both'"):
        sp.conformal(model, validation, propagate="both")
    fitted = sp.conformal(model, validation[:60])
    with pytest.raises(ValueError, match="is on predictions of a model as it was fitted; this is"):
        fitted.predict(sp.recalibrate(model, validation[:60]).predict(new[:3]))
    with pytest.raises(ValueError, match="Expected a stored 'Conformal'"):
        sp.Conformal.from_dict(fitted.fitted.to_dict())
    with pytest.raises(ValueError, match="of the method 'taylor'; this prediction took"):
        fitted.predict(model.predict(new[:3], "none"))
    model, validation, _ = worlds["multilabel"]
    with pytest.raises(ValueError, match="not for several labels"):
        sp.conformal(model, validation)
