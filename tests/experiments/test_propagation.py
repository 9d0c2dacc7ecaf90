import numpy as np
import pytest
import torch

from experiments import propagation
from experiments.common import Options
from tests.models.conftest import make_batch


@pytest.fixture
def o(tmp_path, monkeypatch):
    monkeypatch.setattr(propagation, "load", lambda source: make_batch(B=200))
    return Options(("small",), seeds=1, workers=1, epochs=1, out=tmp_path, cache=tmp_path)


def test_one_case_by_all_methods(o, monkeypatch):
    monkeypatch.setattr(propagation, "GUIDES", ("dropout",))
    monkeypatch.setattr(propagation, "FACTORS", (1e-3, 1.0))
    monkeypatch.setattr(propagation, "DRAWS", 200)
    lines = propagation.measure("small", 0, o)
    of = {(line["method"], line["factor"]): line for line in lines}
    assert of["sampling", 1.0]["variance / sampling"] == 1
    assert of["none", 1.0]["nll"] == of["none", 1e-3]["nll"]
    # Where the scale vanishes the first order is the truth; a sample variance of 200 draws, pooled
    # over hundreds of rows, is known to a few percent.
    assert of["Taylor", 1e-3]["variance / sampling"] == pytest.approx(1, abs=0.05)
    assert all(np.isfinite(line["nll"]) for line in lines)


def test_a_guide_leaves_the_weights_as_they_were(o):
    case = propagation.fitted("small", 0, o, "dropout")
    before = {name: p.clone() for name, p in case.model.named_parameters()}
    mean, variance = propagation.by_guide(case, seed=0)
    assert (variance > 0).any()
    assert mean.isfinite().all()
    for name, p in case.model.named_parameters():
        assert torch.equal(p, before[name])
