import numpy as np
import pytest
import torch

import sure_pyro as sp
from sure_pyro.calibration.held_out import held_out_in_order
from sure_pyro.data import every_mask
from sure_pyro.evaluation import hidden_latents
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.metrics import variance_ratio


def drifted(batch, factor=1.8):
    return batch.replace(features={name: factor * x for name, x in batch.features.items()})


def days(batch, rows):
    return [batch[i : i + rows] for i in range(0, len(batch), rows)]


def predicted_and_observed(model, masked):
    """By target: patterns, predicted variances and squared errors of hidden latents."""
    hidden = hidden_latents(model, masked, model.predict(masked.batch, "none").reconstruction)
    return {name: (masked.pattern[h.where], *h.pair()) for name, h in hidden.items()}


def ratios(finds):
    """Variance ratio of every target and pattern over all days."""
    found = []
    for name in finds[0]:
        pattern, s2, e2 = (np.concatenate(x) for x in zip(*(f[name] for f in finds), strict=True))
        found.append(variance_ratio(s2, e2, pattern).value)
    return np.concatenate(found)


def test_reconstructions_keep_up_with_a_drift_within_every_pattern(worlds):
    """Predictions of a day, made before its outcomes, and errors meet in the mean."""
    model, validation, new = worlds["regression"]
    fixed = now = sp.recalibrate(model, validation, output="none", propagate="none")
    updated, new = [], drifted(new)
    for day in days(new, rows=50):
        updated.append(predicted_and_observed(now, every_mask(day)))
        now = now.update_online(day, step=0.02)
    assert ratios([predicted_and_observed(fixed, every_mask(new))]).max() < 0.7
    assert np.abs(np.log(ratios(updated))).max() < 0.15
    for name, fitted in now.calibration.reconstruction.maps.items():
        pattern, s2, e2 = (np.concatenate(x) for x in zip(*(f[name] for f in updated), strict=True))
        assert len(fitted.online) == 3
        for shown, (f, rows) in fitted.online.items():
            gap = s2[pattern == shown].mean() - e2[pattern == shown].mean()
            expected = fitted.patterns[shown].mean * (1 - f) / (0.02 * rows)
            assert gap == pytest.approx(expected, rel=1e-3, abs=1e-6)  # scales are float32
    assert now.calibration.updated_rows == len(new)
    assert "updated online with 800 rows since" in repr(now)


def test_outputs_keep_up_with_a_drift_within_every_pattern(worlds):
    model, validation, new = worlds["regression"]
    fixed = now = sp.recalibrate(model, validation, reconstruction="none")
    new = new.replace(target=3 * new.target)
    pattern, s2, e2 = [], [], []
    for day in days(new, rows=50):
        masked = every_mask(day)
        p = now.predict(masked.batch)
        pattern.append(masked.pattern)
        s2.append(as_float64(p.total))
        e2.append(np.square(as_float64(p.mean) - masked.batch.target.numpy().reshape(-1, 1)))
        now = now.update_online(day, step=0.02)
    pattern, s2, e2 = (np.concatenate(x) for x in (pattern, s2, e2))
    assert np.abs(np.log(variance_ratio(s2, e2, pattern).value)).max() < 0.15
    assert fixed.predict(every_mask(new).batch).total.mean() < 0.5 * s2.mean()


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_error_rates_keep_up_with_a_drift(worlds, task):
    """Labels that contradict the model make it less certain, and no answer changes."""
    model, validation, new = worlds[task]
    classes = task == "classification"
    calibrated = after = sp.recalibrate(model, validation, propagate="none")
    p = model.predict(new, "none")
    wrong = (p.label + 1) % 3 if classes else 1.0 - p.label
    for day in days(new.replace(target=wrong)[:240], rows=20):
        after = after.update_online(day, step=0.029)  # nearly as far as 20 rows may go
    batch = every_mask(new).batch
    fixed, found = (m.predict(batch, "none").probabilities["none"] for m in (calibrated, after))
    errors = [1 - x.amax(-1) if classes else torch.minimum(x, 1 - x) for x in (fixed, found)]
    most = 2 / 3 if classes else 1 / 2  # what three classes, two classes leave
    assert most - errors[1].mean() < 0.2 * (most - errors[0].mean())
    if classes:
        assert torch.equal(fixed.argmax(-1), found.argmax(-1))


def test_a_day_by_hand(worlds, calibrated):
    """Maps start from what the model as fitted reconstructs; outputs from before their map."""
    model, validation, new = worlds["regression"]
    calibrated, day = calibrated["regression"], new[:7]
    after, masked = calibrated.update_online(day, step=0.05), every_mask(new[:7])
    found = after.calibration
    for name, (pattern, s2, e2) in predicted_and_observed(model, masked).items():
        before = calibrated.calibration.reconstruction.maps[name]
        expected = before.update_online(s2, e2, pattern, 0.05, together=True)[1]
        for shown, f in expected.online.items():
            assert found.reconstruction.maps[name].online[shown] == pytest.approx(f)
    half = sp.recalibrate(model, validation, output="none")
    p, y = half.predict(masked.batch), masked.batch.target.numpy().reshape(-1, 1)
    e2 = np.square(as_float64(p.mean) - y)
    (before,) = calibrated.calibration.output["taylor"].maps
    expected = before.update_online(
        as_float64(p.total)[:, 0], e2[:, 0], masked.pattern, 0.05, True
    )[1]
    assert len(expected.online) == 7
    for name, f in expected.online.items():
        assert found.output["taylor"].maps[0].online[name] == pytest.approx(f)
    assert set(found.output) == {"taylor", "none"}


@pytest.mark.parametrize("propagate", ["both", "sampling", "none"])
def test_every_method_is_updated_and_the_file_keeps_it(worlds, tmp_path, propagate):
    model, validation, new = worlds["regression"]
    now = sp.recalibrate(model, validation, propagate=propagate, num_samples=20)
    now = now.update_online(new[:30], num_samples=20)
    for method, fitted in now.calibration.output.items():
        assert fitted.maps[0].online, method
    now.save(tmp_path)
    back = sp.CalibratedSURE.load(tmp_path)
    a, b = (m.predict(new[:9], propagate, num_samples=20) for m in (now, back))
    assert all(torch.equal(a.moments[r].variance, b.moments[r].variance) for r in a.moments)
    assert back.calibration.updated_rows == 30


def test_what_is_truly_absent_teaches_nothing_of_itself(worlds, calibrated):
    new = worlds["regression"][2]
    after = calibrated["regression"].update_online(sp.missing.pattern(new[:20], ["image", "audio"]))
    maps = after.calibration.reconstruction.maps
    assert not maps["text"].online
    assert set(maps["image"].online) == {"audio"}


def test_a_modality_and_a_pattern_that_the_fit_never_saw_are_learnt(worlds):
    model, validation, new = worlds["regression"]
    gappy = sp.missing.pattern(validation, ["image", "audio"])
    calibrated = sp.recalibrate(model, gappy)
    rows = sp.missing.pattern(new[:5], ["image", "audio"])
    assert calibrated.predict(rows).seen.all() == False  # noqa: E712 - an array
    assert "text" not in calibrated.calibration.reconstruction.maps
    after = calibrated
    for day in days(new[:60], rows=20):
        after = after.update_online(day, step=0.05)
    assert after.predict(rows).seen.all()
    maps = after.calibration.reconstruction.maps
    assert set(maps["text"].online) == {"image", "audio", "image+audio"}
    table = after.calibration.to_dataframe()
    assert set(table[table["target"] == "text"]["pattern"]) == {"overall", *maps["text"].online}


def test_random_masks_are_others_every_day_and_no_row_comes_twice_under_one(worlds):
    model, validation, new = worlds["regression"]
    now = sp.recalibrate(model, validation, reconstruction="none", propagate="none")
    for day in days(new[:20], rows=1):
        now = now.update_online(day, masks="random")
    rows = {p: f.rows for p, f in now.calibration.output["none"].maps[0].online.items()}
    assert len(rows) == 7
    assert sum(rows.values()) == 3 * 20  # one mask of each size
    gaps = sp.missing.mcar(new[:60], rate=0.4, seed=1)
    masked = held_out_in_order(gaps, "random", seed=0, updated_rows=0)
    assert (np.diff(masked.row) >= 0).all()
    pairs = list(zip(masked.row.tolist(), masked.pattern.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs) < 3 * 60


def test_labels_of_a_row_take_one_step_together(worlds):
    model, validation, new = worlds["multilabel"]
    calibrated = sp.recalibrate(model, validation, reconstruction="none")
    masked = held_out_in_order(new[:1], "recorded", seed=0, updated_rows=0)
    p, y = model.predict(masked.batch), new.target[:1].numpy()
    (pattern,) = masked.pattern
    after = calibrated.update_online(new[:1], 0.05, masks="recorded")
    before, after = (
        m.calibration.output["taylor"].scaling.temperature(pattern) for m in (calibrated, after)
    )
    q = calibrated.predict(masked.batch).probabilities["taylor"].numpy()
    predicted, wrong = np.minimum(q, 1 - q), (p.probabilities["taylor"].numpy() > 0.5) != y
    expected = 0.05 / 0.2 * (wrong - predicted).mean()
    assert np.log(after / before) == pytest.approx(expected, rel=1e-4)


def test_bad_input_is_refused(worlds, calibrated):
    new, of_labels = worlds["regression"][2], calibrated["multilabel"]
    calibrated = calibrated["regression"]
    with pytest.raises(
        ValueError, match="`batch` has no targets: there is nothing to calibrate on"
    ):
        calibrated.update_online(new.replace(target=None))
    with pytest.raises(ValueError, match="`batch` has no rows: there is no outcome to update with"):
        calibrated.update_online(new[:0])
    with pytest.raises(ValueError, match="`step` must lie strictly between 0 and 1; got 3"):
        calibrated.update_online(new[:5], step=3.0)
    with pytest.raises(ValueError, match="`step` 0.01 is too large for 200 rows .* at most 0.005"):
        calibrated.update_online(new[:200])
    with pytest.raises(ValueError, match="`step` 0.05 is too large for 20 rows .* at most 0.045"):
        of_labels.update_online(worlds["multilabel"][2][:20], step=0.05)


# -- conformal intervals of latents ---------------------------------------------------------------


def inside(latents, model, masked):
    """Share of each hidden latent's entries that are covered, by target and pattern."""
    p = model.predict(masked.batch, "none")
    found, shares = latents.predict(p), {}
    for name, h in hidden_latents(model, masked, p.reconstruction).items():
        lower, upper = (
            b.reshape(len(b), -1)[h.where] for b in (found[name].lower, found[name].upper)
        )
        hit = ((lower <= h.truth) & (h.truth <= upper)).mean(1)
        shares |= {
            (name, p): hit[masked.pattern[h.where] == p] for p in set(masked.pattern[h.where])
        }
    return shares


def test_intervals_of_latents_keep_up_with_a_drift(worlds):
    model, validation, new = worlds["regression"]
    fixed = now = sp.conformal_latents(model, validation)
    updated, new = [], drifted(new)
    for day in days(new, rows=32):
        updated.append(inside(now, model, every_mask(day)))
        now = now.update_online(model, day, step=1 / 32)
    for cell, share in inside(fixed, model, every_mask(new)).items():
        assert share.mean() < 0.85
        assert abs(np.concatenate([f[cell] for f in updated]).mean() - 0.9) < 0.03


def test_a_row_of_a_latent_by_hand(worlds, calibrated):
    model, validation, new = worlds["regression"]
    fitted, masked = sp.conformal_latents(model, validation), every_mask(new[:1])
    after = fitted.update_online(model, new[:1], step=0.1)
    for (name, pattern), (share,) in inside(fitted, model, masked).items():
        q, moved = (f.fitted[name].quantiles.patterns[pattern].value for f in (fitted, after))
        assert moved == pytest.approx(q * np.exp(0.1 * ((1 - share) - 0.1)))
    with pytest.raises(ValueError, match="The fit is on predictions of a model as it was fitted"):
        fitted.update_online(calibrated["regression"], new[:1])


def test_latents_of_rows_that_can_hide_nothing_teach_nothing_and_say_so(worlds):
    model, validation, new = worlds["regression"]
    fitted = sp.conformal_latents(model, validation)
    with pytest.warns(UserWarning, match="No latent of `batch` could be hidden on purpose"):
        after = fitted.update_online(model, new[:5], masks="recorded")
    assert after.to_dict() == fitted.to_dict()


def test_random_masks_of_two_days_are_drawn_apart(worlds):
    """With seeds that overlap, what is hidden alone tomorrow was hidden with another today."""
    _, _, new = worlds["regression"]
    alone, pair = [], []
    for day in range(100):
        masked = held_out_in_order(new[:1], "random", seed=0, updated_rows=day)
        lacking = {int((~a).sum()): set(np.flatnonzero(~a)) for a in masked.batch.available.numpy()}
        alone.append(lacking[1])
        pair.append(lacking[2])
    nested = np.mean([a <= b for a, b in zip(alone[1:], pair[:-1], strict=True)])
    assert nested < 0.85  # 2/3 by chance, 100 days: 4 standard errors
