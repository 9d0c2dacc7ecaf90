"""The control reconstructs nothing; the experiment runs on few rows."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

import sure_pyro as sp
from experiments.common import Options
from experiments.decorrelate import synthetic_parts
from experiments.independence import (
    _reconstruction,
    fit_prior,
    picture,
    reconstructed,
    run,
    summary,
)


def test_the_control_claims_the_mean_and_all_of_the_variance():
    train, validation, test = synthetic_parts(0.9, seed=0, num_rows=100)
    backbone = sp.MLPBackbone.for_data(train).freeze()
    model = fit_prior(train, validation, backbone=backbone, seed=0, epochs=1)
    for loc, scale in model.predict(test).reconstruction.values():
        assert (loc == 0).all()
        assert scale.numpy() == pytest.approx(1.001)  # with the floor of 0.001


def test_targets_weigh_by_their_entries_and_verdicts_are_counted():
    part = pd.DataFrame({
        "entries": [3, 1], "verdict": ["little", "nothing"], "predicted": [0.4, 0.8],
        **{name: [1.0, 0.0] for name in ("r2", "r2 lower", "r2 upper", "between", "within")},
    })  # fmt: skip
    found = _reconstruction(part)
    assert found["r2"] == pytest.approx(0.75)
    assert found["predicted r2"] == pytest.approx(0.5)
    assert found["verdicts"] == "1 nothing, 1 little"


@pytest.mark.slow
def test_runs(tmp_path):
    levels = {f"synthetic {s}": partial(synthetic_parts, s, num_rows=80) for s in (0.9, 0.0)}
    o = Options((), 1, 1, 1, tmp_path, tmp_path)
    result = run(o, levels)
    assert not result.failures
    found = reconstructed(o, levels)
    table = summary(result, found)
    assert list(table["data"]) == list(levels)
    gains = result.values("nll", "synthetic 0.9")
    expected = (gains["prior"] - gains["SURE"]).mean()
    assert table["over prior: nll gain"][0] == pytest.approx(expected)
    assert (table["over prior: nll low"] <= table["over prior: nll high"]).all()
    assert np.isfinite(table["r2"]).all()
    assert len(picture(table).axes) == 3
