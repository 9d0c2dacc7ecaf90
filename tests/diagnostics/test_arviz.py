import warnings

import numpy as np
import pytest
import xarray as xr

from sure_pyro.diagnostics import arviz as module
from sure_pyro.diagnostics import to_arviz
from tests.diagnostics.conftest import prediction

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # ArviZ 0.23 announces 1.0 at import
    az = pytest.importorskip("arviz")

DRAWS = 1000
of_arviz = pytest.mark.filterwarnings("ignore:.*deprecated")  # its own use of matplotlib, pandas


def exported(task, **options):
    result, batch = prediction(task, **options)
    return to_arviz(result, batch, num_draws=DRAWS)


def test_groups_dimensions_and_coordinates(task):
    idata = exported(task)
    name, outputs = ("mu", "output") if task == "regression" else ("logit", "class")
    drawn = idata.posterior[name]
    assert drawn.dims == ("chain", "draw", "sample", outputs)
    assert drawn.sizes["chain"] * drawn.sizes["draw"] == DRAWS
    assert list(drawn[outputs].values) == ["y0", "y1", "y2"]
    assert list(drawn.mask_pattern.values[:2]) == ["audio", "text+audio"]
    assert idata.constant_data.variance.dims == ("source", "sample", outputs)
    assert list(idata.constant_data.modality.values) == ["text", "audio"]
    same = ("sample",) if task == "classification" else ("sample", outputs)
    assert idata.observed_data.y.dims == same
    assert idata.log_likelihood.y.dims == ("chain", "draw", *same)
    assert idata.posterior_predictive.y.dims == ("chain", "draw", *same)


def test_posterior_is_the_propagated_variance_and_has_not_seen_the_target():
    result, batch = prediction("regression")
    drawn = to_arviz(result, batch, num_draws=4000).posterior.mu.stack(s=("chain", "draw"))
    expected = result.variance["text"].numpy()
    # Five standard errors of a variance over 4,000 draws.
    np.testing.assert_allclose(drawn.var("s"), expected, rtol=5 * np.sqrt(2 / 4000), atol=1e-12)
    without = to_arviz(result, batch.replace(target=None, task=None), num_draws=4000)
    xr.testing.assert_equal(
        drawn.unstack("s"), without.posterior.mu.transpose(*drawn.unstack("s").dims)
    )


def test_predictive_is_the_prediction():
    result, batch = prediction("classification")
    y = to_arviz(result, batch, num_draws=4000).posterior_predictive.y.values.reshape(4000, -1)
    share = (y[..., None] == np.arange(3)).mean(0)
    # Five standard errors at p = 1/2 over 4,000 draws; 120 shares.
    np.testing.assert_allclose(share, result.probabilities["taylor"].numpy(), atol=0.04)


def test_leave_one_out_is_the_log_score_of_the_prediction(task):
    idata = exported(task, B=120)
    loo = az.loo(idata, pointwise=True)
    score = float(idata.constant_data.log_predictive.sum())
    # Regression agrees up to draws; classes up to the softmax of Gaussian logits (2 %).
    assert loo.elpd_loo == pytest.approx(score, rel=0.01 if task == "regression" else 0.03)
    assert not loo.warning


def test_pareto_k_is_the_share_of_the_draws():
    result, batch = prediction("regression", B=200, C=1)
    loo = az.loo(to_arviz(result, batch, num_draws=4000), pointwise=True)
    missing, head = (result.variance[s].numpy()[:, 0] for s in ("text", "head"))
    share = np.clip(missing / (missing + head), 0.02, 0.1)
    found = loo.pareto_k.values.reshape(-1)
    # The limit is approached slowly, from above (0.06 at 4,000 draws); 100 rows scatter by 0.01.
    assert share[::2].mean() <= found[::2].mean() <= share[::2].mean() + 0.1
    assert found[1::2].mean() < 0.1


@of_arviz
def test_summary_and_plots_run(task):
    import matplotlib.pyplot as plt

    idata = exported(task, B=8)
    assert len(az.summary(idata.posterior.isel(sample=slice(0, 8, 2)))) == 4 * 3
    az.plot_ppc(idata, num_pp_samples=10)
    plt.close("all")


@of_arviz
def test_models_are_compared_by_their_log_score():
    good, batch = prediction("regression", B=100)
    off = good.moments["taylor"].affine(1.0, 2.0)
    bad = type(good)({"taylor": off}, *list(vars(good).values())[1:])
    ranks = az.compare(
        {n: to_arviz(p, batch, num_draws=DRAWS) for n, p in (("good", good), ("bad", bad))}
    )
    assert list(ranks.index) == ["good", "bad"]


def test_netcdf_round_trip(task, tmp_path):
    idata = exported(task)
    idata.to_netcdf(str(tmp_path / "report.nc"))
    back = az.from_netcdf(str(tmp_path / "report.nc"))
    for group in ("posterior", "posterior_predictive", "log_likelihood", "observed_data",
                  "constant_data"):  # fmt: skip
        xr.testing.assert_equal(back[group].load(), idata[group])
    assert back.constant_data.attrs["road"] == "taylor"


def test_the_same_seed_gives_the_same_draws():
    result, batch = prediction("classification")
    a, b, c = (to_arviz(result, batch, num_draws=8, seed=s) for s in (1, 1, 2))
    xr.testing.assert_equal(a.log_likelihood, b.log_likelihood)
    assert not a.posterior.equals(c.posterior)


def test_without_targets_there_is_no_likelihood():
    result, batch = prediction("regression")
    idata = to_arviz(result, batch.replace(target=None, task=None), num_draws=8)
    assert set(idata.groups()) == {"posterior", "posterior_predictive", "constant_data"}


def test_newer_arviz_gets_a_data_tree(monkeypatch):
    monkeypatch.delattr(az, "InferenceData")
    result, batch = prediction("regression")
    tree = to_arviz(result, batch, num_draws=8)
    assert isinstance(tree, xr.DataTree)
    assert set(tree.children) >= {"posterior", "log_likelihood", "observed_data"}
    assert tree["posterior"]["mu"].dims == ("chain", "draw", "sample", "output")


def test_the_import_of_arviz_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module.as_arviz({"observed_data": xr.Dataset({"y": ("sample", [1.0])})})


def test_errors():
    result, batch = prediction("regression")
    with pytest.raises(ValueError, match="positive multiple of 4; got 10"):
        to_arviz(result, batch, num_draws=10)
    with pytest.raises(ValueError, match="of other rows than `batch`.*\\(40, 2\\) and \\(39, 2\\)"):
        to_arviz(result, batch[:39])
    other = batch[[*range(1, 40), 0]]
    with pytest.raises(ValueError, match="with other modalities missing"):
        to_arviz(result, other)
