import numpy as np
import pytest
import torch

import sure_pyro as sp
from sure_pyro.data import every_mask, missing
from sure_pyro.evaluation import hidden_latents
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.metrics import categorical_nll, mask_pattern, per_pattern, variance_ratio
from sure_pyro.models.heads import Output
from tests.models.conftest import make_batch, make_model


def ratios_of_reconstructions(model, masked, reconstruction):
    """Variance ratio of every reconstruction, by target and pattern."""
    hidden = hidden_latents(model, masked, reconstruction)
    ratios = [variance_ratio(*h.pair(), masked.pattern[h.where]).value for h in hidden.values()]
    return np.concatenate(ratios)


@pytest.mark.parametrize("kind", ["scale", "affine", "isotonic"])
def test_reconstructions_have_the_right_variance_in_every_pattern_of_new_rows(
    worlds, measured, kind
):
    """Nearly Gaussian errors, 2 entries or more of a row, which err together at worst: a ratio of
    500 to one of 800 rows scatters by sqrt(2 / 500 + 2 / 800) = 8 %; 9 ratios, 4 sd: 6e-4.
    """
    model, validation, _ = worlds["regression"]
    masked, before, _ = measured["regression"]
    ratios = ratios_of_reconstructions(model, masked, before.reconstruction)
    assert np.abs(np.log(ratios)).max() > 0.5
    fit = sp.recalibrate(model, validation, reconstruction=kind, output="none", propagate="none")
    after = fit.predict(masked.batch, "none")
    ratios = ratios_of_reconstructions(model, masked, after.reconstruction)
    assert np.abs(np.log(ratios)).max() < 0.32


def test_outputs_have_the_right_variance_in_every_pattern_of_new_rows(measured):
    masked, before, after = measured["regression"]
    y = masked.batch.target.numpy().reshape(-1, 1)

    def ratios(p):
        e2 = np.square(as_float64(p.mean) - y)
        return variance_ratio(as_float64(p.total), e2, masked.pattern).value

    assert np.abs(np.log(ratios(before))).max() > 0.4
    # 7 ratios of 500 to 800 rows, as above.
    assert np.abs(np.log(ratios(after))).max() < 0.32


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_temperatures_lower_the_likelihood_and_change_no_answer(worlds, measured, task):
    model, validation, _ = worlds[task]
    masked, before, _ = measured[task]
    after = sp.recalibrate(model, validation, reconstruction="none").predict(masked.batch)
    p, q = (x.probabilities["taylor"] for x in (before, after))
    decided = ((p - 0.5).abs() > 1e-6).all(-1)  # at 1/2 a label is a matter of rounding
    assert torch.equal(before.label[decided], after.label[decided])
    if task == "classification":
        y = masked.batch.target.numpy()
        p, q = (
            per_pattern(categorical_nll, as_float64(x), y, pattern=masked.pattern) for x in (p, q)
        )
        assert (q.value < p.value).all()
    else:
        y = masked.batch.target
        bce = torch.nn.functional.binary_cross_entropy
        assert bce(q, y) < bce(p, y)


def test_a_scale_by_hand(worlds):
    """Without shrinkage the factor is mean e^2 / mean sigma^2 over the rows of the pattern."""
    model, validation, _ = worlds["regression"]
    calibrated = sp.recalibrate(
        model, validation, output="none", pseudo_count=0.0, prior_scale=np.inf
    )
    shown = missing.pattern(validation, ["image", "audio"])
    before, after = (m.predict(shown, "none").reconstruction["text"] for m in (model, calibrated))
    truth = model.encode(validation).values["text"]
    factor = (truth - before.loc).square().mean() / before.scale.square().mean()
    torch.testing.assert_close(after.scale, before.scale * factor.sqrt(), rtol=1e-4, atol=1e-6)
    assert torch.equal(after.loc, before.loc)


def test_the_groups_of_the_rows_are_heard(worlds, calibrated):
    """One group alone confirms no factor, over all patterns; the same rows one by one do."""
    model, validation, _ = worlds["regression"]
    family = validation.replace(group=torch.zeros(len(validation), dtype=torch.long))
    alone = calibrated["regression"].calibration.reconstruction.maps
    with pytest.warns(UserWarning, match="of one group, and one group can not tell"):
        together = sp.recalibrate(model, family).calibration.reconstruction.maps
    for name in alone:
        assert together[name].overall.scale == pytest.approx(1)
        assert all(own.weight == 0 for own in together[name].patterns.values())
        assert abs(np.log(alone[name].overall.scale)) > 1e-3


def test_sources_keep_their_shares_and_add_up(worlds, calibrated):
    model, validation, new = worlds["regression"]
    masked = every_mask(new[:50])
    half = sp.recalibrate(model, validation, output="none").predict(masked.batch)
    whole = calibrated["regression"].predict(masked.batch)
    assert not torch.allclose(half.total, whole.total, rtol=1e-2)
    torch.testing.assert_close(sum(whole.variance.values()), whole.total)
    for name, share in half.moments["taylor"].share.items():
        torch.testing.assert_close(whole.moments["taylor"].share[name], share)
    assert torch.equal(half.mean, whole.mean)


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_probabilities_are_those_of_the_divided_logits(worlds, calibrated, task):
    model, _, new = worlds[task]
    prediction = calibrated[task].predict(every_mask(new[:50]).batch)
    for method in ("none", "taylor"):
        m = prediction.moments[method]
        expected = model.head.probabilities(Output(m.mean, m.variance))
        torch.testing.assert_close(prediction.probabilities[method], expected)


def test_patterns_never_seen_get_the_overall_fit_and_the_result_says_so(worlds):
    model, validation, new = worlds["regression"]
    R = len(validation)
    known = missing.pattern(validation, ["image", "text"])
    known = sp.Batch.cat([validation[: R // 2], known[R // 2 :]])
    calibrated = sp.recalibrate(model, known, masks="recorded")
    assert not calibrated.calibration.reconstruction.maps  # nothing was hidden on purpose
    shown = sp.Batch.cat([new[:5], missing.pattern(new[5:10], ["audio"])])
    found, plain = (m.predict(shown) for m in (calibrated, model))
    assert found.seen.tolist() == [True] * 5 + [False] * 5
    overall = calibrated.calibration.output["taylor"].maps[0].overall.scale
    torch.testing.assert_close(found.total[5:], overall * plain.total[5:], rtol=1e-4, atol=0)
    assert found.summary()["seen"].tolist() == [False, True]
    assert found.to_dataframe()["seen"].tolist() == found.seen.tolist()


def test_every_pattern_of_what_was_hidden_on_purpose_was_seen(measured):
    assert measured["classification"][2].seen.all()


def test_the_model_beneath_stays_as_it_is_and_is_what_a_second_calibration_starts_from(
    worlds, calibrated
):
    model, validation, new = worlds["regression"]
    batch = missing.mcar(new[:100], 0.4, seed=0)
    before = model.predict(batch)
    once = calibrated["regression"]
    twice = sp.recalibrate(once, validation)
    for a, b in ((before, model), (before, once.uncalibrated()), (once.predict(batch), twice)):
        assert torch.equal(a.total, b.predict(batch).total)
    assert not torch.equal(before.total, once.predict(batch).total)


@pytest.mark.parametrize("masks", ["every", "random"])
def test_rows_that_lack_modalities_say_nothing_about_them(worlds, masks):
    """Absent entries hold anything; what they hold may not reach the calibration."""
    model, validation, new = worlds["classification"]
    gappy = missing.mcar(validation, 0.3, seed=5)
    found = sp.recalibrate(model, gappy, masks=masks).calibration
    rows = found.reconstruction.maps["text"].to_dataframe().set_index("pattern")["rows"]
    has_all = int(gappy.available.all(1).sum())
    if masks == "every":
        assert rows["image+audio"] == has_all
    assert rows["overall"] > has_all


def test_both_methods_have_maps_of_their_own(worlds):
    model, validation, new = worlds["regression"]
    batch = missing.mcar(new[:40], 0.4, seed=0)
    calibrated = sp.recalibrate(model, validation[:60], propagate="both", num_samples=30)
    found = calibrated.predict(batch, "both", num_samples=30)
    assert set(found.moments) == {"none", "taylor", "sampling"}
    found.cross_check()
    only_taylor = sp.recalibrate(model, validation[:60])
    with pytest.raises(
        ValueError, match=r"knows the methods \['none', 'taylor'\]; got \['sampling'"
    ):
        only_taylor.predict(batch, "sampling", num_samples=30)


def test_sequences_keep_their_shape():
    batch = make_batch(60, missing=False)
    model = make_model(batch, "transformer")
    found = sp.recalibrate(model, batch).predict(every_mask(batch[:5]).batch)
    plain = model.predict(every_mask(batch[:5]).batch)
    for name, (loc, scale) in plain.reconstruction.items():
        assert found.reconstruction[name].scale.shape == scale.shape
        assert torch.equal(found.reconstruction[name].loc, loc)


def test_the_table_lists_every_map(worlds, calibrated):
    table = calibrated["classification"].calibration.to_dataframe()
    assert table.columns[:5].tolist() == ["part", "target", "pattern", "rows", "weight"]
    assert set(table["part"]) == {"reconstruction", "output/none", "output/taylor"}
    assert set(table["pattern"]) >= set(
        mask_pattern(np.eye(3, dtype=bool), worlds["classification"][1].modalities)
    )


def test_bad_input_is_refused(worlds, calibrated):
    model, validation, _ = worlds["regression"]
    with pytest.raises(ValueError, match="`output` must be one of .* for regression; got 'temp"):
        sp.recalibrate(model, validation, output="temperature")
    with pytest.raises(ValueError, match="`reconstruction` must be one of .*; got 'linear'"):
        sp.recalibrate(model, validation, reconstruction="linear")
    with pytest.raises(ValueError, match="`masks` must be one of .*; got 'all'"):
        sp.recalibrate(model, validation, masks="all")
    with pytest.raises(ValueError, match="`validation` has no targets"):
        sp.recalibrate(model, validation.replace(target=None))
    with pytest.raises(ValueError, match="The model is not fitted: call `sp.fit"):
        sp.recalibrate(sp.SURE(model.backbone), validation)
    with pytest.raises(ValueError, match="A calibrated model is not trained"):
        sp.fit(calibrated["regression"], validation)


def test_the_weights_stay_a_source_under_a_calibration(tmp_path):
    """A posterior of the weights draws through the recalibrated scales, and is saved with them."""
    batch = make_batch(60, missing=False, task="regression")
    model = make_model(batch)
    sp.fit(model, batch, batch, epochs=1, progress_bar=False, guide="laplace")
    calibrated = sp.recalibrate(model, batch)
    shown = missing.mcar(batch[:30], 0.4, seed=0)
    prediction = calibrated.predict(shown)
    assert "weights" in prediction.variance
    torch.testing.assert_close(sum(prediction.variance.values()), prediction.total)
    calibrated.save(tmp_path)
    again = sp.CalibratedSURE.load(tmp_path).predict(shown)
    assert torch.equal(again.total, prediction.total)
