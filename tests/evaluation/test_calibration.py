import numpy as np
import pytest
import scipy.stats
import torch

import sure_pyro as sp
from sure_pyro import metrics
from sure_pyro.data import every_mask, missing
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.metrics.intervals import central_interval, interval_coverage
from sure_pyro.metrics.sets import set_size

SIZES = {"nll", "sharpness", "coverage/0.9", "width/0.9"}


def cell(table, metric, pattern="overall"):
    rows = table[(table["metric"] == metric) & (table["pattern"] == pattern)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_regression_values_are_those_of_the_calibration_room(worlds):
    model, _, new = worlds["regression"]
    batch = missing.mcar(new[:400], 0.4, seed=0)
    p = model.predict(batch)
    table = sp.calibration_table(p, batch, repetitions=0)
    m, s2 = as_float64(p.mean)[:, 0], as_float64(p.total)[:, 0]
    y = as_float64(batch.target)
    k = metrics.mask_pattern(batch.available.numpy(), batch.modalities) == "image+text"
    assert cell(table, "output_ratio")["value"] == float(metrics.variance_ratio(s2, (y - m) ** 2))
    assert (
        cell(table, "crps", "image+text")["value"]
        == metrics.gaussian_crps(m[k], s2[k], y[k]).mean()
    )
    reference = scipy.stats.kstest(metrics.pit(m, s2, y), "uniform").statistic
    assert cell(table, "pit_distance")["value"] == pytest.approx(reference)
    lower, upper = central_interval(m, s2, 0.9)
    assert cell(table, "coverage/0.9")["value"] == interval_coverage(lower, upper, y)
    assert cell(table, "ence", "image+text")["rows"] == k.sum()
    assert table["lower"].isna().all()
    assert set(table["output"]) == {"y0"}


def test_class_values_are_those_of_the_calibration_room(worlds):
    model, _, new = worlds["classification"]
    p = model.predict(new[:200])
    table = sp.calibration_table(p, new[:200], repetitions=0)
    P, y = as_float64(p.probabilities["taylor"]), new.target[:200].numpy()
    assert cell(table, "ece")["value"] == metrics.ece(P, y)
    assert cell(table, "aurc")["value"] == metrics.aurc(1 - P.max(1), metrics.zero_one_loss(P, y))
    assert cell(table, "width/0.8")["value"] == set_size(P, 0.8)
    parts = [cell(table, name)["value"] for name in ("miscalibration", "uncertainty", "brier")]
    assert parts[0] + parts[1] - cell(table, "discrimination")["value"] == pytest.approx(parts[2])
    wrong = metrics.zero_one_loss(P, y).mean()
    assert cell(table, "error_ratio")["value"] == pytest.approx((1 - P.max(1)).mean() / wrong)


def test_labels_come_one_by_one(worlds):
    model, _, new = worlds["multilabel"]
    p = model.predict(new[:100])
    table = sp.calibration_table(p, new[:100], repetitions=0)
    assert list(dict.fromkeys(table["output"])) == list(p.outputs)
    first = table[(table["output"] == p.outputs[0]) & (table["metric"] == "accuracy")]
    right = (p.label[:, 0] == new.target[:100, 0].long()).double().mean()
    assert first["value"].iloc[0] == pytest.approx(float(right))


def test_intervals_hold_the_value_and_draw_groups_whole(worlds):
    model, validation, new = worlds["regression"]
    masked = every_mask(new[:60])
    p = model.predict(masked.batch)
    by_entry, by_row = (
        sp.calibration_table(p, masked.batch, groups=g, repetitions=25, levels=(0.9,))
        for g in (None, masked.row)
    )
    for table in (by_entry, by_row):
        assert ((table["lower"] <= table["value"]) & (table["value"] <= table["upper"])).all()
    # A row is met under 7 masks: drawing entries pretends to seven times as many rows.
    width = [cell(t, "rmse")["upper"] - cell(t, "rmse")["lower"] for t in (by_entry, by_row)]
    assert width[1] > 1.5 * width[0]
    within = [cell(t, "rmse", "text") for t in (by_entry, by_row)]
    assert within[0]["value"] == within[1]["value"]


def test_calibration_lowers_the_table_where_it_should(worlds):
    model, validation, new = worlds["regression"]
    masked = every_mask(new)
    tables = [
        sp.calibration_table(m.predict(masked.batch), masked.batch, repetitions=0)
        for m in (model, sp.recalibrate(model, validation))
    ]
    assert set(tables[0]["metric"]) >= SIZES
    for metric in ("nll", "ence", "pit_distance", "crps"):
        before, after = (cell(t, metric)["value"] for t in tables)
        assert after < before


def test_rare_patterns_are_left_out_and_bad_input_is_refused(worlds):
    model, _, new = worlds["regression"]
    few = sp.Batch.cat([new[:50], missing.pattern(new[50:55], ["text"])])
    p = model.predict(few)
    table = sp.calibration_table(p, few, repetitions=0)
    assert set(table["pattern"]) == {"overall", "image+audio+text"}
    with pytest.raises(ValueError, match=r"of the method 'sampling'; this prediction took \['tay"):
        sp.calibration_table(p, few, method="sampling")
    with pytest.raises(ValueError, match="`batch` has no targets"):
        sp.calibration_table(p, few.replace(target=None))
    with pytest.raises(ValueError, match="is not what the prediction was made with"):
        sp.calibration_table(p, new[:55])
    assert torch.equal(p.available, few.available)
    assert np.isfinite(table.loc[table["metric"] != "ence", "value"]).all()
