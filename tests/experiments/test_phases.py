"""Masks, budget, and a run on little data."""

import numpy as np
import pytest

from experiments import phases
from experiments.common import Options
from tests.models.conftest import make_batch


def test_masks_hide_none_to_all_but_one():
    rows = make_batch(B=30, missing=False)
    M = len(rows.modalities)
    for k, mask in enumerate(phases.masks_for(M).values()):
        assert (mask(rows, 0).available.sum(1) == M - k).all()


@pytest.mark.slow
def test_run_ends_in_table_budget_and_picture(monkeypatch, tmp_path):
    monkeypatch.setattr(phases, "load", lambda source: make_batch(B=90, missing=False))
    o = Options(("small",), 1, 1, 2, tmp_path, tmp_path)
    results = phases.run(o)
    assert not results["small"].failures
    table, costs = phases.summary(results), phases.budget(o, results)
    assert np.isfinite(table["score"]).all()
    taken = costs.set_index("model")["steps"]
    assert taken["filled with zeros"] == 0
    assert set(taken[list(phases.CHOSEN)]) == {2}  # 54 training rows are one batch
    assert len(phases.picture(table).axes) == 2
