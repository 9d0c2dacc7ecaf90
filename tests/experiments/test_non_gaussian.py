"""Scores of the truth are the closed forms; the experiment runs on few rows."""

import numpy as np
import pytest
import scipy.stats

from experiments.common import Options
from experiments.error_shapes import SHAPES, Known, data_of_shape
from experiments.non_gaussian import (
    ABSOLUTE,
    OBJECTIVES,
    OWN,
    SHOWN,
    differences,
    objective_of,
    picture,
    run,
    scores,
    summary,
)
from sure_pyro.objectives import preset


def truth(shape, rows=20_000):
    data, known = data_of_shape(shape, rows, seed=0)
    sigma = np.sqrt(known.variance) * np.ones_like(known.mean)
    return data.features["b"].double().numpy(), known, sigma


def test_the_truth_is_calibrated_where_errors_are_gaussian():
    b, known, sigma = truth("gaussian")
    found = scores(b, known.mean, sigma, known, scipy.stats.norm())
    n = b.size
    for level in (0.5, 0.9, 0.99):
        bound = 4 * np.sqrt(level * (1 - level) / n)
        assert abs(found[f"coverage_{level * 100:.0f}"] - level) < bound
    assert found["rank_with_truth"] == found["size"] == pytest.approx(1)
    assert found["location_error"] == 0
    # entropy: 1/2 log(2 pi e) + E[log tau^2] / 2, with E[log tau^2] = -h^2 / 2
    assert found["nll"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e) - 0.25, abs=0.02)


def test_a_variance_twice_too_large_keeps_its_ranks():
    b, known, sigma = truth("skewed")
    found = scores(b, known.mean, np.sqrt(2) * sigma, known, scipy.stats.norm())
    assert found["rank_with_truth"] == pytest.approx(1)
    assert found["size"] == pytest.approx(2)


def test_a_family_that_fits_has_the_coverage_it_says():
    rng = np.random.default_rng(0)
    known = Known(np.zeros((20_000, 2)), np.linspace(1, 2, 20_000)[:, None])
    sigma = np.sqrt(known.variance) * np.ones((1, 2))
    for family in OWN.values():
        assert family.var() == pytest.approx(1)
        b = sigma * family.rvs(sigma.shape, random_state=rng)
        found = scores(b, known.mean, sigma, known, family)
        assert abs(found["own_coverage_90"] - 0.9) < 4 * np.sqrt(0.09 / b.size)
        assert found["own_nll"] < found["nll"]


def test_objectives_exist():
    for name in OBJECTIVES:
        if name != ABSOLUTE:
            preset(name)
    elbo, _ = objective_of(ABSOLUTE)
    assert elbo.pairing == {"uncertainty": "sd", "error": "absolute", "per": "row"}


@pytest.mark.slow
def test_runs(tmp_path):
    o = Options((), 1, 1, 1, tmp_path, tmp_path)
    cells = run(o, rows=(64, 32, 64))
    assert len(cells) == len(SHAPES) * (1 + len(OBJECTIVES))
    assert np.isfinite(cells[list(SHOWN)]).all().all()
    assert len(summary(cells)) == len(cells)
    assert set(differences(cells)["objective"]) == set(OBJECTIVES) - {"elbo"}
    assert len(picture(cells).axes) == 4
