import json

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from sure_pyro.calibration.arrays.curves import SHAPES, Curve, fit_curve


def noisy(truth, rows=20000, seed=0):
    rng = np.random.default_rng(seed)
    s2 = rng.uniform(0.1, 4, rows)
    return s2, truth(s2) * rng.standard_normal(rows) ** 2


@pytest.mark.parametrize("shape", SHAPES)
def test_mean_variance_is_the_mean_squared_error(shape):
    s2, e2 = noisy(lambda s2: 3 * s2**2 + 1)
    assert fit_curve(shape, s2, e2)(s2).mean() == pytest.approx(e2.mean())


def test_affine_recovers_slope_and_offset():
    s2, e2 = noisy(lambda s2: 0.5 * s2 + 2)
    curve = fit_curve("affine", s2, e2)
    # Offset and slope have standard errors of 1-2 % at 20000 rows: 5 of them.
    np.testing.assert_allclose(curve(np.array([0.0, 4.0])), [2, 4], rtol=0.08)


def test_isotonic_recovers_a_bent_curve_and_stays_constant_outside():
    s2, e2 = noisy(lambda s2: np.minimum(s2, 1) ** 2 + 0.1)
    curve = fit_curve("isotonic", s2, e2)
    grid = np.array([0.5, 0.8, 2.0, 3.0])
    np.testing.assert_allclose(curve(grid), np.minimum(grid, 1) ** 2 + 0.1, rtol=0.25)
    assert curve(np.array([100.0])) == curve(np.array([4.0]))


def test_isotonic_is_near_the_regression_of_scikit_learn():
    s2, e2 = noisy(lambda s2: s2, rows=2000)
    reference = IsotonicRegression().fit_transform(s2, e2)
    gap = np.abs(fit_curve("isotonic", s2, e2)(s2) - reference).mean()
    assert gap < 0.15 * reference.mean()  # half a step at most: lines instead of steps


@pytest.mark.parametrize("shape", SHAPES)
def test_curves_are_monotone_positive_and_survive_json(shape):
    s2, e2 = noisy(lambda s2: s2, rows=50)
    curve = fit_curve(shape, s2, e2)
    grid = np.linspace(1e-3, 10, 300)
    assert (np.diff(curve(grid)) >= 0).all()
    assert (curve(grid) > 0).all()
    back = Curve.from_dict(json.loads(json.dumps(curve.to_dict())))
    np.testing.assert_array_equal(back(grid), curve(grid))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_units_do_not_matter(shape, unit):
    s2, e2 = noisy(lambda s2: s2 + 1, rows=600)
    expected = fit_curve(shape, s2, e2)(s2)
    np.testing.assert_allclose(fit_curve(shape, unit * s2, unit * e2)(unit * s2), unit * expected)
    np.testing.assert_allclose(fit_curve(shape, unit * s2, e2)(unit * s2), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_one_row_and_constant_variances(shape):
    one = np.array([2.0])
    assert fit_curve(shape, one, 3 * one)(one) == pytest.approx(6)
    constant = fit_curve(shape, np.full(9, 2.0), np.arange(9.0))
    assert constant(one) == pytest.approx(4)
