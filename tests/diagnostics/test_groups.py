"""Groups from plain arrays: what is in them, and that the draws are those of the prediction."""

import dataclasses

import numpy as np
import pytest
import scipy.special
import scipy.stats

from tests.diagnostics.plain import TASKS, arrays, module

S = 4000


@pytest.mark.parametrize("task", TASKS)
def test_groups_dimensions_and_coordinates(task):
    a = arrays(task)
    found = module.groups(a, 400, 0)
    name, outputs = ("mu", "output") if task == "regression" else ("logit", "class")
    assert found["posterior"][name].dims == ("chain", "draw", "row", outputs)
    assert found["posterior"].sizes["chain"] * found["posterior"].sizes["draw"] == 400
    assert list(found["posterior"][outputs].values) == ["y0", "y1", "y2"]
    same = ("row",) if task == "classification" else ("row", outputs)
    assert found["observed_data"].y.dims == same
    assert found["log_likelihood"].y.dims == ("chain", "draw", *same)
    assert found["posterior_predictive"].y.dims == ("chain", "draw", *same)
    constant = found["constant_data"]
    assert constant.variance.dims == ("source", "row", outputs)
    assert constant.available.dims == ("row", "modality")
    assert list(constant.modality.values) == ["text", "audio"]
    assert list(constant.sample.values) == list(range(60))
    for group in ("constant_data", "observed_data"):
        assert list(found[group].mask_pattern.values[:2]) == ["audio", "text+audio"]


@pytest.mark.parametrize("task", TASKS)
def test_every_dimension_has_its_coordinate_and_draws_have_no_other(task):
    sequence = np.zeros((60, 5, 4))
    a = arrays(
        task,
        latents={"text": (sequence, sequence + 1)},
        weights={"head.mean.weight": np.zeros((40, 2, 3)), "scalar": np.zeros(40)},
    )
    found = module.groups(a, 40, 0)
    for name, group in found.items():
        assert set(group.indexes) == set(group.dims), name
        if "data" not in name:
            assert set(group.coords) == set(group.dims), name
    posterior = found["posterior"]
    assert list(posterior.z_text_token.values) == list(range(5))
    assert list(posterior.z_text_entry.values) == list(range(4))
    assert list(posterior["head.mean.weight_dim_1"].values) == [0, 1, 2]
    entry = posterior.z_text.sel(z_text_row=2, z_text_token=4, z_text_entry=3)
    assert entry.equals(posterior.z_text.isel(z_text_row=1, z_text_token=4, z_text_entry=3))


def test_draws_are_split_by_pattern_with_the_constant_data():
    found = module.groups(arrays("regression"), 40, 0)
    split = found["log_likelihood"].y.groupby(found["constant_data"].mask_pattern)
    assert {name: len(group.row) for name, group in split} == {"audio": 30, "text+audio": 30}


@pytest.mark.parametrize(
    ("modalities", "sites"),
    [
        (("text", "text_row"), ["z_text", "z_text_row"]),
        (("text/en", "text_en"), ["z_text_en", "z_text_en_"]),
        (("a.b", "ä ö"), ["z_a.b", "z_ä ö"]),
    ],
)
def test_every_name_of_a_modality_has_a_place(modalities, sites, tmp_path):
    loc = np.zeros((60, 1, 4))
    a = dataclasses.replace(
        arrays("regression"),
        modalities=modalities,
        available=np.zeros((60, 2), dtype=bool),
        latents=dict.fromkeys(modalities, (loc, loc + 1)),
    )
    z = module.groups(a, 40, 0)["posterior"]
    assert list(z.data_vars) == ["mu", *sites]
    assert all(z[site].shape == (4, 10, 60, 4) for site in sites)
    z.to_netcdf(tmp_path / "z.nc")


def test_a_single_output_needs_no_dimension():
    found = module.groups(arrays("regression", C=1), 40, 0)
    assert found["observed_data"].y.dims == ("row",)
    assert found["log_likelihood"].y.dims == ("chain", "draw", "row")
    assert found["constant_data"].log_predictive.dims == ("row",)
    assert found["posterior"].mu.dims == ("chain", "draw", "row", "output")


def test_latents_are_those_that_were_missing():
    z = module.groups(arrays("classification", target=None), S, 0)["posterior"]
    assert "z_audio" not in z  # recorded in every row
    assert z.z_text.dims == ("chain", "draw", "z_text_row", "z_text_entry")
    assert list(z.z_text_row.values) == list(range(0, 60, 2))
    drawn = z.z_text.stack(s=("chain", "draw"))
    # Five standard errors of a mean and of a variance over 4,000 draws; 120 entries.
    np.testing.assert_allclose(drawn.mean("s")[0], [0, 1, 2, 3], atol=5 * 0.5 / np.sqrt(S))
    np.testing.assert_allclose(drawn.var("s"), 0.25, rtol=5 * np.sqrt(2 / S))


def test_a_sequence_has_tokens():
    loc = np.zeros((60, 5, 4))
    z = module.groups(arrays("regression", latents={"text": (loc, loc + 1)}), 40, 0)["posterior"]
    assert z.z_text.dims == ("chain", "draw", "z_text_row", "z_text_token", "z_text_entry")
    assert z.z_text.shape == (4, 10, 30, 5, 4)


def test_weights_keep_their_draws():
    draws = np.random.default_rng(0).normal(size=(40, 2, 3))
    found = module.groups(arrays("regression", weights={"head.mean.weight": draws}), 40, 0)
    weight = found["posterior"]["head.mean.weight"]
    np.testing.assert_array_equal(weight.values.reshape(40, 2, 3), draws)
    assert weight.dims[2:] == ("head.mean.weight_dim_0", "head.mean.weight_dim_1")


@pytest.mark.parametrize("task", TASKS)
def test_latents_change_no_other_draw(task):
    with_them, without = (
        module.groups(arrays(task, **more), 40, 0) for more in ({}, {"latents": {}})
    )
    assert with_them["posterior"][list(without["posterior"])].equals(without["posterior"])
    assert with_them["log_likelihood"].equals(without["log_likelihood"])


@pytest.mark.parametrize("task", TASKS)
def test_leave_one_out_is_the_log_score_of_whatever_was_stated(task):
    """Also where a temperature, or an average over draws, made the probabilities."""
    a = arrays(task, B=30)
    if a.probability is not None:
        warmed = scipy.special.logit(a.probability) / 2
        q = scipy.special.expit(warmed)
        q = q / q.sum(-1, keepdims=True) if task == "classification" else q
        a = dataclasses.replace(a, probability=q)
    found = module.groups(a, S, 0)
    log_p = found["log_likelihood"].y.values.reshape(S, -1)
    score = found["constant_data"].log_predictive.values.reshape(-1)
    left_out = -scipy.special.logsumexp(-log_p, axis=0, b=1 / S)
    # Row by row. Regression: 1/p has a standard error of 1 %, and of 10 % where the target is 4 sd
    # off. Classes: the softmax of a Gaussian logit is not quite that of the shrunk one.
    np.testing.assert_allclose(left_out, score, atol=0.15)
    assert abs((left_out - score).mean()) < 0.02


def test_predictive_draws_are_the_prediction():
    a = arrays("classification")
    y = module.groups(dataclasses.replace(a, target=None), S, 0)[
        "posterior_predictive"
    ].y.values.reshape(S, -1)
    share = (y[..., None] == np.arange(3)).mean(0)
    # Five standard errors at p = 1/2 over 4,000 draws; 180 shares.
    np.testing.assert_allclose(share, a.probability, atol=0.04)


def test_log_predictive_is_a_density_of_the_total_variance():
    a = arrays("regression")
    expected = scipy.stats.norm.logpdf(a.target, a.mean, np.sqrt(a.total))
    np.testing.assert_allclose(module.log_predictive(a), expected)


def test_without_targets_there_is_no_likelihood():
    found = module.groups(arrays("multilabel", target=None), 40, 0)
    assert set(found) == {"posterior", "posterior_predictive", "constant_data"}


def test_errors():
    with pytest.raises(ValueError, match="positive multiple of 4; got 10"):
        module.groups(arrays("regression"), 10, 0)
    for name in ("mu", "row", "z_text", "z_text_entry", "a/b"):
        taken = {name: np.zeros((40, 2)), "w": np.zeros(40)}
        with pytest.raises(ValueError, match=rf"`weights` has the names \['{name}'\], which the"):
            module.groups(arrays("regression", weights=taken), 40, 0)
    short = {"w": np.zeros((3, 2))}
    with pytest.raises(ValueError, match=r"`weights\['w'\]` needs.*40 draws.*got shape \(3, 2\)"):
        module.groups(arrays("regression", weights=short), 40, 0)
