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
    for name in ("posterior", "posterior_predictive", "log_likelihood", "observed_data",
                 "constant_data"):  # fmt: skip
        xr.testing.assert_equal(adapter.group(back, name).load(), adapter.group(idata, name))
    assert adapter.group(back, "constant_data").attrs["road"] == "taylor"


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
    assert drawn_lines() >= 2  # what was said and what came


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


def test_the_same_seed_gives_the_same_draws():
    a, b, c = (module.groups(arrays("classification"), 8, seed) for seed in (1, 1, 2))
    assert all(a[name].equals(b[name]) for name in a)
    assert not a["posterior"].equals(c["posterior"])
