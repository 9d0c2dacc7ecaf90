"""The tools of the installed ArviZ work on an export, with nothing but what they always need.

Runs beside ArviZ 0.23 in the ordinary suite and beside 1.x by `make test-arviz`.
"""

import warnings

import numpy as np
import pytest
import xarray as xr

from tests.diagnostics.plain import OLD, TASKS, adapter, arrays, az, exported, module

of_arviz = pytest.mark.filterwarnings("ignore")  # its own use of matplotlib and pandas
every_task = pytest.mark.parametrize("task", TASKS)
DRAWN = np.random.default_rng(0).normal(size=(1000, 2))

PPC, BPV = ("plot_ppc", "plot_bpv") if OLD else ("plot_ppc_dist", "plot_ppc_tstat")


@pytest.fixture(autouse=True)
def closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def drawn_lines():
    import matplotlib.pyplot as plt

    return sum(len(ax.lines) + len(ax.collections) for ax in plt.figure(plt.get_fignums()[-1]).axes)


def test_it_is_what_this_arviz_works_with():
    idata = exported("regression", 40)
    assert isinstance(idata, az.InferenceData if OLD else xr.DataTree)
    assert isinstance(adapter.group(idata, "observed_data"), xr.Dataset)
    with pytest.raises(ValueError, match="The group 'prior' is needed, and there are only"):
        adapter.group(idata, "prior")


@pytest.mark.skipif(not OLD, reason="ArviZ 1.x is tested as it is")
def test_newer_arviz_gets_a_data_tree(monkeypatch):
    monkeypatch.setattr(az, "__version__", "1.3.0")
    tree = exported("regression", 40)
    assert isinstance(tree, xr.DataTree)
    assert set(tree.children) >= {"posterior", "log_likelihood", "observed_data"}
    assert isinstance(adapter.group(tree, "posterior"), xr.Dataset)


def test_the_import_of_arviz_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        adapter.as_arviz({"observed_data": xr.Dataset({"y": ("row", [1.0])})})


@every_task
def test_netcdf_round_trip(task, tmp_path):
    idata = exported(task, 40, B=6, weights={"head.mean.bias": DRAWN[:40]})
    idata.to_netcdf(str(tmp_path / "report.nc"))
    back = az.from_netcdf(str(tmp_path / "report.nc"))
    for name in (
        "posterior",
        "posterior_predictive",
        "log_likelihood",
        "observed_data",
        "constant_data",
    ):
        xr.testing.assert_equal(adapter.group(back, name).load(), adapter.group(idata, name))
    assert adapter.group(back, "constant_data").attrs["method"] == "taylor"


@every_task
@of_arviz
def test_loo_is_the_log_score_of_the_prediction(task):
    idata = exported(task, weights={"head.mean.bias": DRAWN})
    loo = az.loo(idata, pointwise=True)
    score = float(adapter.group(idata, "constant_data").log_predictive.sum())
    # Regression agrees up to draws; classes up to the softmax of Gaussian logits (2 %).
    found = loo.elpd_loo if OLD else loo.elpd
    assert float(found) == pytest.approx(score, rel=0.01 if task == "regression" else 0.03)
    assert not loo.warning


@of_arviz
def test_models_are_compared_by_their_log_score():
    found = az.compare(
        {"right": exported("regression"), "wrong": exported("regression", wrong_by=5.0)}
    )
    assert list(found.index) == ["right", "wrong"]


@every_task
@of_arviz
def test_summary_has_outputs_latents_and_weights(task):
    idata = exported(task, 400, B=4, weights={"head.mean.bias": DRAWN[:400]})
    names = list(az.summary(idata).index)
    assert len(names) == 4 * 3 + 2 * 4 + 2
    assert {"z_text[0, 0]", "z_text[2, 3]", "head.mean.bias[1]"} <= set(names)


@every_task
@of_arviz
@pytest.mark.parametrize("plot", [PPC, BPV, "plot_loo_pit"])
def test_plots_run(task, plot):
    idata = exported(task, 200, B=20, C=1 if task == "regression" else 3)
    options = {"y": "y"} if OLD and plot == "plot_loo_pit" else {}
    getattr(az, plot)(idata, **options)
    assert drawn_lines() >= 2  # predicted and observed


@pytest.mark.skipif(OLD, reason="plots that ArviZ 0.x does not have")
@of_arviz
@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("plot", ["plot_ppc_pit", "plot_ppc_interval", "plot_loo_interval"])
def test_newer_plots_run_for_one_output(task, plot):
    getattr(az, plot)(exported(task, 200, B=20, C=1 if task == "regression" else 3))
    assert drawn_lines() >= 2


@every_task
def test_extract_stacks_the_draws(task):
    """ArviZ makes a dimension called `sample`, so none of ours may have the name."""
    drawn = az.extract(exported(task, 40), group="posterior_predictive")
    assert drawn.sizes["sample"] == 40


WEIGHTS = {"head.mean.weight": np.random.default_rng(1).normal(size=(40, 2, 3))}
SEQUENCE = np.random.default_rng(2).normal(size=(6, 3, 2))
KINDS = {
    "vectors": {},
    "sequences": {"latents": {"text": (SEQUENCE, np.abs(SEQUENCE))}},
    "with weights": {"weights": WEIGHTS},
    "sequences with weights": {
        "latents": {"text": (SEQUENCE, np.abs(SEQUENCE))},
        "weights": WEIGHTS,
    },
    "without latents": {"latents": {}},
    "without targets": {"target": None, "weights": WEIGHTS},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def columns(dataset):
    """How many numbers a draw has: what a table of draws needs, and not their product."""
    return sum(x.size // 40 for x in dataset.data_vars.values())


@every_task
@every_kind
@of_arviz
def test_a_table_has_a_line_per_draw_and_a_column_per_number(task, kind):
    idata = exported(task, 40, B=6, **KINDS[kind])
    posterior = adapter.group(idata, "posterior")
    if not OLD:
        table = az.dataset_to_dataframe(posterior)
        assert table.shape == (40, columns(posterior))
        return
    draws = ["posterior", "posterior_predictive", "log_likelihood"]
    draws = [name for name in draws if name in idata.groups()]
    table = idata.to_dataframe()
    assert table.shape == (40, 2 + sum(columns(adapter.group(idata, name)) for name in draws))
    assert not table.isna().any().any()
    assert all(np.issubdtype(kind, np.number) for kind in table.dtypes)


@pytest.mark.skipif(not OLD, reason="InferenceData is that of ArviZ 0.x")
@of_arviz
def test_the_columns_of_a_table_are_named_by_their_coordinates():
    idata = exported("classification", 40, B=6, **KINDS["sequences with weights"])
    table = idata.to_dataframe(groups="posterior").set_index(["chain", "draw"])
    posterior = idata.posterior
    token = posterior.z_text.sel(z_text_row=4, z_text_token=2, z_text_entry=1)
    np.testing.assert_array_equal(table[("z_text[2,2,1]", 4, 2, 1)], token.values.reshape(-1))
    logit = posterior.logit.sel({"row": 5, "class": "y1"})
    np.testing.assert_array_equal(table[("logit[5,1]", 5, "y1")], logit.values.reshape(-1))
    weight = posterior["head.mean.weight"][..., 1, 2]
    np.testing.assert_array_equal(table[("head.mean.weight[1,2]", 1, 2)], weight.values.ravel())


PLOTS = (
    "plot_forest",
    "plot_trace",
    *(("plot_posterior", "plot_density") if OLD else ("plot_dist",)),
)


@of_arviz
@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("name", ["logit", "z_text", "head.mean.weight"])
def test_everyday_plots_of_the_posterior(plot, name):
    """Outputs known exactly, in rows that lack nothing, are among them."""
    idata = exported("classification", 40, B=2, **KINDS["with weights"])
    getattr(az, plot)(idata, var_names=[name])
    assert drawn_lines() >= 2


@of_arviz
def test_ranks_of_weights():
    """The plots of ArviZ 1.x that look up the coordinate of every dimension."""
    az.plot_rank(exported("regression", 40, **KINDS["with weights"]), var_names=list(WEIGHTS))
    assert drawn_lines() >= 2


@of_arviz
@pytest.mark.parametrize(
    ("name", "coords"),
    [
        ("logit", {"row": [0], "class": ["y0", "y2"]}),
        ("z_text", {"z_text_row": [2], "z_text_entry": [0, 3]}),
    ],
)
def test_pairs_of_outputs_and_of_entries(name, coords):
    az.plot_pair(exported("classification", 40, B=4), var_names=[name], coords=coords)
    assert drawn_lines() >= 1


@every_kind
@of_arviz
def test_everyday_statistics(kind):
    idata = exported("classification", 40, B=6, **KINDS[kind])
    assert len(az.summary(idata)) == columns(adapter.group(idata, "posterior"))
    for statistic in ("hdi", "ess", "rhat", "mcse"):
        getattr(az, statistic)(idata)


@every_task
def test_rows_are_selected_by_number_and_by_place(task):
    idata = exported(task, 40, B=6)
    drawn = idata.posterior["mu" if task == "regression" else "logit"]
    assert drawn.sel(row=[1, 4]).equals(drawn.isel(row=[1, 4]))
    if OLD:  # of all groups at once; latents have rows of their own, which are left alone
        chosen = idata.sel(row=[1, 4])
        assert chosen.log_likelihood.sizes["row"] == chosen.constant_data.sizes["row"] == 2
        assert list(chosen.constant_data.mask_pattern.values) == ["text+audio", "audio"]
        assert chosen.posterior.z_text.equals(idata.posterior.z_text)
        assert idata.isel(draw=slice(0, 5)).posterior.sizes["draw"] == 5


@every_kind
def test_exports_are_stacked_and_joined(kind):
    idata, other = (exported("regression", 40, B=6, **KINDS[kind]) for _ in range(2))
    posterior = adapter.group(idata, "posterior")
    assert az.extract(idata).sizes["sample"] == 40
    if not OLD:
        joined = xr.concat([posterior, adapter.group(other, "posterior")], dim="draw")
        assert joined.sizes["draw"] == 20
        return
    assert idata.stack(sample=["chain", "draw"]).posterior.sizes["sample"] == 40
    assert az.concat(idata, other, dim="draw").posterior.sizes["draw"] == 20
    assert (
        az.concat(idata, other, dim="chain").log_likelihood.sizes["chain"] == 8
        if (kind != "without targets")
        else True
    )


@every_kind
@of_arviz
def test_files(kind, tmp_path):
    idata = exported("classification", 40, B=6, **KINDS[kind])
    idata.to_netcdf(str(tmp_path / "e.nc"))
    back = az.from_netcdf(str(tmp_path / "e.nc"))
    expected = adapter.group(idata, "posterior")
    xr.testing.assert_equal(adapter.group(back, "posterior").load(), expected)
    if OLD:
        idata.to_json(str(tmp_path / "all.json"))
        # ArviZ takes every coordinate for a dimension when it reads: `mask_pattern` is none.
        idata.to_json(str(tmp_path / "e.json"), groups=["posterior", "posterior_predictive"])
        read = az.from_json(str(tmp_path / "e.json")).posterior
        np.testing.assert_allclose(read.logit.values, expected.logit.values)


@pytest.mark.skipif(OLD, reason="ArviZ 0.x needs a zarr that today's xarray does not write")
@of_arviz
def test_zarr(tmp_path):
    pytest.importorskip("zarr")
    idata = exported("classification", 40, B=6, **KINDS["sequences with weights"])
    idata.to_zarr(str(tmp_path / "e.zarr"))
    back = xr.open_datatree(str(tmp_path / "e.zarr"), engine="zarr")
    expected = adapter.group(idata, "posterior")
    xr.testing.assert_equal(adapter.group(back, "posterior").load(), expected)


def test_the_same_seed_gives_the_same_draws():
    a, b, c = (module.groups(arrays("classification"), 8, seed) for seed in (1, 1, 2))
    assert all(a[name].equals(b[name]) for name in a)
    assert not a["posterior"].equals(c["posterior"])
