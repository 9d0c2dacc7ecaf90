import numpy as np
import pytest
import torch

import sure_pyro as sp
from sure_pyro.data import every_mask, missing
from sure_pyro.evaluation import hidden_latents


def shares(fitted, model, masked, prediction):
    """Share of the entries that is covered, by modality and pattern."""
    intervals = fitted.predict(prediction)
    found = {}
    for name, h in hidden_latents(model, masked, prediction.reconstruction).items():
        lower, upper = (
            getattr(intervals[name], part).reshape(len(masked.batch), -1)[h.where]
            for part in ("lower", "upper")
        )
        inside = ((lower <= h.truth) & (h.truth <= upper)).mean(1)
        for pattern in np.unique(masked.pattern[h.where]):
            found[name, pattern] = inside[masked.pattern[h.where] == pattern]
    return found


@pytest.mark.parametrize("task", ["regression", "classification", "multilabel"])
def test_entries_are_covered_within_every_pattern(worlds, measured, task):
    """500 rows calibrate, 800 new ones measure; 9 cells of a modality and pattern, 3 tasks.

    The mean share of a cell scatters by at most sqrt(0.09 (1 / 500 + 1 / 800)) = 0.017, and sits at
    most 2 / 501 above 0.9: 4.5 of those are a false alarm of 27 * 7e-6 = 2e-4.
    """
    model, validation, _ = worlds[task]
    found = shares(sp.conformal_latents(model, validation, 0.9), model, *measured[task][:2])
    assert len(found) == 9
    for inside in found.values():
        assert 0.9 - 4.5 * 0.017 <= inside.mean() <= 0.9 + 2 / 501 + 4.5 * 0.017


def test_a_factor_on_the_scales_cancels(worlds, calibrated, measured):
    """Intervals of a model and of its calibration hold the same entries."""
    model, validation, _ = worlds["regression"]
    masked, *predictions = measured["regression"]
    pair = [
        shares(sp.conformal_latents(m, validation), m, masked, p)
        for m, p in zip((model, calibrated["regression"]), predictions, strict=True)
    ]
    for cell, inside in pair[0].items():
        assert inside.mean() == pytest.approx(pair[1][cell].mean(), abs=1e-3)


def test_only_what_is_missing_has_an_interval(worlds):
    model, validation, new = worlds["regression"]
    shown = missing.pattern(new[:5], ["audio", "text"])
    found = sp.conformal_latents(model, validation).predict(model.predict(shown))
    assert np.isnan(found["audio"].lower).all()
    assert not found["audio"].guaranteed.any()
    lacked = next(name for name in found if name not in ("audio", "text"))
    assert found[lacked].guaranteed.all()
    assert (found[lacked].lower < found[lacked].upper).all()
    assert found[lacked].lower.shape == model.predict(shown).reconstruction[lacked].loc.shape


def test_the_guarantee_counts_groups(worlds):
    model, validation, _ = worlds["regression"]
    grouped = validation.replace(group=torch.arange(len(validation)) // 25)
    table = sp.conformal_latents(model, grouped).guarantee()
    assert (table["rows"] == 500).all()
    assert (table["groups"] == 20).all()
    np.testing.assert_allclose(table["at_most"], 0.9 + 2 / 21)
    assert (
        sp.conformal_latents(model, grouped, new_groups=False).guarantee()["groups"] == 500
    ).all()


def test_file_round_trip_is_exact(worlds, tmp_path):
    model, validation, new = worlds["regression"]
    fitted = sp.conformal_latents(model, validation[:60].replace(target=None))  # not needed
    fitted.save(tmp_path / "latents.json")
    back = sp.calibration.ConformalLatents.load(tmp_path / "latents.json")
    prediction = model.predict(every_mask(new[:10]).batch, "none")
    for name, intervals in fitted.predict(prediction).items():
        np.testing.assert_array_equal(intervals.upper, back.predict(prediction)[name].upper)


def test_bad_input_is_refused(worlds):
    model, validation, _ = worlds["regression"]
    with pytest.raises(ValueError, match="No latent .* was hidden on purpose"):
        sp.conformal_latents(model, validation, masks="recorded")
    fitted = sp.conformal_latents(sp.recalibrate(model, validation[:60]), validation[:60])
    with pytest.raises(ValueError, match="a calibrated model; this is one of a model as it was"):
        fitted.predict(model.predict(validation[:3], "none"))
    with pytest.raises(ValueError, match="`level` must lie strictly between 0 and 1; got 1.5"):
        sp.conformal_latents(model, validation, level=1.5)
