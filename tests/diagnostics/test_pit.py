import numpy as np
import pytest
import scipy.stats

from tests.diagnostics.plain import TASKS, adapter, arrays, exported, module, pit


@pytest.mark.parametrize("task", TASKS)
def test_it_is_uniform_where_targets_follow_the_prediction(task):
    values = pit.predictive_pit(exported(task, 200, B=300, C=3), seed=1)
    assert values.sizes["row"] == 300
    assert list(np.unique(values.mask_pattern)) == ["audio", "text+audio"]
    # Kolmogorov-Smirnov at a false-alarm rate of 0.1 % for each of the three.
    assert scipy.stats.kstest(values.values.ravel(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize(("wrong_by", "spread"), [(9.0, 1), (1 / 9, -1)])
def test_it_is_a_bowl_or_a_hill_where_variances_are_wrong(wrong_by, spread):
    values = pit.predictive_pit(exported("regression", 200, B=300, wrong_by=wrong_by))
    assert scipy.stats.kstest(values.values.ravel(), "uniform").pvalue < 1e-6
    assert spread * (values.var() - 1 / 12) > 0.02


def test_it_counts_the_draws_below():
    a = arrays("regression", B=2, C=1)
    found = module.groups(a, 400, 0)
    found["observed_data"]["y"] = ("row", np.array([-1e9, 1e9]))
    low, high = pit.predictive_pit(adapter.as_arviz(found)).values
    assert 0 < low < 1 / 401
    assert 400 / 401 < high < 1


def test_ties_are_broken_by_the_seed():
    idata = exported("classification", 40)
    a, b, c = (pit.predictive_pit(idata, seed=s) for s in (0, 0, 1))
    assert a.equals(b)
    assert not a.equals(c)


def test_without_targets_it_says_so():
    idata = exported("regression", 40, target=None)
    with pytest.raises(ValueError, match="'observed_data' is needed.*a batch with targets"):
        pit.predictive_pit(idata)
