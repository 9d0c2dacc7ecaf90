import json

import numpy as np
import pytest

from sure_pyro.calibration.arrays import VarianceRecalibration
from sure_pyro.metrics import gaussian_nll, variance_ratio

FACTOR = {"a": 1.0, "b": 3.0, "c": 0.3}


def rows(n=6000, seed=0, share=(0.6, 0.3, 0.1), D=None):
    """True variance = FACTOR[pattern] * predicted variance."""
    rng = np.random.default_rng(seed)
    pattern = rng.choice(list(FACTOR), n, p=share)
    factor = np.vectorize(FACTOR.get)(pattern)
    shape = (n,) if D is None else (n, D)
    s2 = rng.uniform(0.5, 2, shape)
    noise = rng.standard_normal(shape)
    return s2, s2 * factor.reshape(-1, *(1,) * (s2.ndim - 1)) * noise**2, pattern


@pytest.mark.parametrize("kind", ["scale", "affine", "isotonic"])
@pytest.mark.parametrize("D", [None, 3])
def test_every_pattern_has_the_right_size_on_new_rows(kind, D):
    model = VarianceRecalibration.fit(*rows(D=D), kind=kind)
    s2, e2, pattern = rows(n=60000, seed=1, D=D)
    before = variance_ratio(s2, e2, pattern)
    after = variance_ratio(model.transform(s2, pattern).value, e2, pattern)
    assert before["c"] > 3
    # Pattern c was fitted on 600 rows: the ratio has a relative sd of sqrt(2.2/600) = 6 %; 3.5 sd.
    np.testing.assert_allclose(after.value, 1, atol=0.21)


def test_curved_miscalibration_needs_a_curve():
    rng = np.random.default_rng(3)
    s2 = rng.uniform(0.1, 4, 8000)
    e2 = (1 + 0.2 * s2) * rng.standard_normal(8000) ** 2
    pattern, half = np.zeros(8000, dtype=int), slice(4000, None)
    nll = {}
    for kind in ("scale", "affine", "isotonic"):
        model = VarianceRecalibration.fit(s2[:4000], e2[:4000], pattern[:4000], kind)
        value = model.transform(s2[half], pattern[half]).value
        nll[kind] = gaussian_nll(0 * value, value, np.sqrt(e2[half])).mean()
    assert nll["affine"] < nll["isotonic"] < nll["scale"] - 0.05


def test_a_rare_pattern_is_shrunk_and_a_new_one_gets_the_overall_fit():
    s2, e2, pattern = rows(n=3000)
    pattern = pattern.astype("U4")
    pattern[:4] = "rare"
    model = VarianceRecalibration.fit(s2, e2, pattern)
    found = model.transform(np.ones(3), np.array(["a", "rare", "new"]))
    assert found.seen.tolist() == [True, True, False]
    assert found.weight[0] > 0.98
    assert 0 < found.weight[1] < 0.9
    assert found.weight[2] == 0
    assert found.value[2] == pytest.approx(model.overall(np.ones(1))[0])


def test_patterns_that_do_not_differ_get_one_fit():
    rng = np.random.default_rng(5)
    s2 = rng.uniform(0.5, 2, 900)
    pattern = rng.integers(0, 30, 900)
    model = VarianceRecalibration.fit(s2, 2 * s2 * rng.standard_normal(900) ** 2, pattern)
    used = model.transform(np.ones(30), np.arange(30)).value
    assert used.std() / used.mean() < 0.12  # unshrunk, 30 rows each: sqrt(2.2 / 30) = 0.27


def test_pseudo_count_sets_the_blend_by_hand():
    s2, e2 = np.ones(4), np.array([1.0, 1.0, 4.0, 4.0])
    model = VarianceRecalibration.fit(
        s2, e2, np.array([0, 0, 1, 1]), pseudo_count=2.0, prior_scale=np.inf
    )
    np.testing.assert_allclose(
        model.transform(np.ones(3), np.array([0, 1, 2])).value,
        [np.sqrt(1 * 2.5), np.sqrt(4 * 2.5), 2.5],
    )


def test_an_infinite_prior_makes_the_sizes_of_the_fit_rows_exact():
    s2, e2, _ = rows(n=50)
    one = np.zeros(50, dtype=int)
    for kind in ("scale", "affine", "isotonic"):
        model = VarianceRecalibration.fit(s2, e2, one, kind, prior_scale=np.inf)
        assert model.transform(s2, one).value.mean() == pytest.approx(e2.mean())


def test_the_few_groups_of_a_fit_do_not_carry_the_model_away():
    """12 groups err by a factor of their own, sd 0.8 on the log scale; the model is right on all.

    Over 200 fits the mean square of the log ratio on the whole population: with the groups told it
    must fall below half of what rows alone leave; its relative sd is sqrt(2 / 200) = 10 %.
    """
    rng = np.random.default_rng(7)
    found = {"rows": [], "groups": []}
    for _ in range(200):
        group, one = np.repeat(np.arange(12), 30), np.zeros(360, dtype=int)
        luck = np.exp(0.8 * rng.standard_normal(12) - 0.32)  # of mean 1
        e2 = luck[group] * rng.standard_normal(360) ** 2
        for name, groups in (("rows", None), ("groups", group)):
            model = VarianceRecalibration.fit(np.ones(360), e2, one, groups=groups)
            found[name].append(np.log(model.overall.scale))
    error = {name: np.square(x).mean() for name, x in found.items()}
    assert error["groups"] < 0.5 * error["rows"]


def test_groups_that_err_together_are_not_taken_for_a_difference_between_patterns():
    rng = np.random.default_rng(8)
    group = np.repeat(np.arange(10), 40)
    pattern = group % 2  # every group has one pattern, and the patterns do not differ
    luck = np.exp(rng.standard_normal(10))
    e2 = luck[group] * rng.standard_normal(400) ** 2
    alone = VarianceRecalibration.fit(np.ones(400), e2, pattern).patterns[0].weight
    told = VarianceRecalibration.fit(np.ones(400), e2, pattern, groups=group).patterns[0].weight
    assert alone > 0.9
    assert told < 0.6


def test_observed_entries_stay_known_exactly():
    for kind in ("scale", "affine", "isotonic"):
        model = VarianceRecalibration.fit(*rows(), kind=kind)
        assert model.transform(np.zeros(2), np.array(["a", "new"])).value.tolist() == [0, 0]


def test_dtype_and_shape_stay():
    model = VarianceRecalibration.fit(*rows(D=2))
    for dtype in (np.float32, np.float64):
        value = model.transform(np.ones((2, 5), dtype=dtype), np.array(["a", "b"])).value
        assert value.dtype == dtype
        assert value.shape == (2, 5)


@pytest.mark.parametrize("kind", ["scale", "affine", "isotonic"])
def test_json_round_trip_is_exact(kind):
    for pattern in (rows()[2], np.arange(6000) % 3):
        model = VarianceRecalibration.fit(*rows()[:2], pattern, kind)
        back = VarianceRecalibration.from_dict(json.loads(json.dumps(model.to_dict())))
        s2 = np.linspace(0.1, 5, 6000)
        np.testing.assert_array_equal(
            back.transform(s2, pattern).value, model.transform(s2, pattern).value
        )
        assert back.pseudo_count == model.pseudo_count


def test_a_pattern_without_errors_stays_finite_and_small():
    s2, e2, pattern = rows()
    e2 = np.where(pattern == "c", 0.0, e2)
    value = VarianceRecalibration.fit(s2, e2, pattern).transform(np.ones(1), np.array(["c"])).value
    assert 0 < value[0] < 0.1


def test_table_shows_rows_and_weights():
    table = VarianceRecalibration.fit(*rows()).to_dataframe()
    assert table["pattern"].tolist() == ["overall", "a", "b", "c"]
    assert table["rows"][0] == table["rows"][1:].sum() == 6000


def test_bad_input_is_refused():
    s2, e2, pattern = rows(n=30)
    with pytest.raises(ValueError, match="Every `squared_error` is zero: there is no scale"):
        VarianceRecalibration.fit(s2, 0 * e2, pattern)
    with pytest.raises(ValueError, match="`variance` must be non-negative"):
        VarianceRecalibration.fit(-s2, e2, pattern)
    with pytest.raises(ValueError, match="`pseudo_count` must be at least 0; got -1"):
        VarianceRecalibration.fit(s2, e2, pattern, pseudo_count=-1.0)
    model = VarianceRecalibration.fit(s2, e2, pattern)
    with pytest.raises(TypeError, match="the fit knows patterns such as 'a'; every row would"):
        model.transform(s2, np.zeros(30, dtype=int))
    with pytest.raises(ValueError, match="Expected a stored 'VarianceRecalibration'; got type 'x'"):
        VarianceRecalibration.from_dict({"type": "x"})
