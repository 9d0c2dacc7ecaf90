"""The errors have the moments that their docstring says, whatever their shape."""

import numpy as np
import pytest
from scipy import stats

from experiments.error_shapes import (
    ENTRIES,
    KURTOSIS,
    SHAPES,
    best_correlation,
    data_of_shape,
    draw_errors,
)

ROWS = 20_000


@pytest.mark.parametrize("shape", ["gaussian", "skewed", "bimodal"])
def test_mean_variance_and_kurtosis(shape):
    e = draw_errors(shape, (10 * ROWS,), np.random.default_rng(0))
    for power, expected in ((1, 0.0), (2, 1.0), (4, KURTOSIS[shape])):
        error = (e**power).std() / np.sqrt(len(e))  # 4 of them: a false alarm in 16,000 checks
        assert abs((e**power).mean() - expected) < 4 * error


def test_heavy_tails_follow_their_distribution_function():
    # Their fourth moment is infinite, so the variance is checked through the whole distribution.
    e = draw_errors("student-t", (ROWS,), np.random.default_rng(0))
    assert stats.kstest(e, stats.t(3, scale=1 / np.sqrt(3)).cdf).pvalue > 1e-3
    assert stats.t(3, scale=1 / np.sqrt(3)).var() == pytest.approx(1)


def test_only_the_skewed_is_skewed():
    skewness = {s: stats.skew(draw_errors(s, (ROWS,), np.random.default_rng(1))) for s in SHAPES}
    assert skewness["skewed"] == pytest.approx(2, abs=0.3)
    assert abs(skewness["gaussian"]) < 0.1
    assert abs(skewness["bimodal"]) < 0.1


@pytest.mark.parametrize("shape", ["gaussian", "skewed", "bimodal"])
def test_rows_scatter_as_widely_as_is_known(shape):
    data, known = data_of_shape(shape, ROWS, seed=0)
    z = (data.features["b"].double().numpy() - known.mean) / np.sqrt(known.variance)
    wide = known.variance[:, 0] > np.median(known.variance)
    for rows in (wide, ~wide):  # in wide and in narrow rows alike
        bound = 4 * np.sqrt((KURTOSIS[shape] - 1) / (rows.sum() * ENTRIES))
        assert abs(np.square(z[rows]).mean() - 1) < bound


def test_shapes_share_everything_but_the_errors():
    (first, known), (second, same) = (data_of_shape(s, 50, seed=3) for s in SHAPES[:2])
    assert first.features["a"].equal(second.features["a"])
    assert not first.features["b"].equal(second.features["b"])
    np.testing.assert_array_equal(known.variance, same.variance)


def test_best_correlation_is_that_of_endless_rows():
    for shape in ("gaussian", "skewed", "bimodal"):
        data, known = data_of_shape(shape, 10 * ROWS, seed=0)
        e = np.square(data.features["b"].double().numpy() - known.mean).mean(1)
        found = np.corrcoef(known.variance[:, 0], e)[0, 1]
        assert found == pytest.approx(best_correlation(shape), abs=0.05)
    assert best_correlation("student-t") == 0


def test_unknown_shape():
    with pytest.raises(ValueError, match="`shape` must be one of"):
        draw_errors("flat", (3,), np.random.default_rng(0))
