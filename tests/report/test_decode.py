import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sure_pyro.report.decode import Decoder, fit_decoders


def decoder(W, correlation, residual):
    ridge = Ridge()
    ridge.coef_, ridge.intercept_ = np.array(W, dtype=float), np.zeros(len(W))
    return Decoder(ridge, np.array(correlation, dtype=float), np.array(residual), (len(W),), 1.0)


def test_variances_add_up_where_errors_are_independent():
    d = decoder([[3, 4]], np.eye(2), [0.0])
    assert d.sd(np.array([[1.0, 1.0]])) == pytest.approx(5)


def test_errors_that_go_together_cancel_or_add():
    sigma = np.array([[1.0, 2.0]])
    assert decoder([[2, 1]], [[1, 1], [1, 1]], [0.0]).sd(sigma) == pytest.approx(4)
    assert decoder([[2, -1]], [[1, 1], [1, 1]], [0.0]).sd(sigma) == pytest.approx(0)


def test_what_the_latents_do_not_hold_is_added():
    assert decoder([[3.0]], [[1]], [16.0]).sd(np.array([[1.0]])) == pytest.approx(5)


@pytest.fixture(scope="module")
def decoders(model, parts):
    return fit_decoders(model, parts[0], parts[1], seed=0)


def test_latents_decode_to_their_features(model, parts, decoders):
    latents = model.encode(parts[1])
    for name, d in decoders.items():
        x = parts[1].features[name].numpy()
        mean = d.mean(latents.values[name].flatten(1).numpy().astype(float))
        assert mean.shape == x.shape
        # The backbone clips and projects 4 features to 4 latents: next to nothing is lost.
        assert d.r2 > 0.95
        np.testing.assert_allclose(((mean - x) ** 2).mean(0), d.residual, rtol=1e-4)


def test_correlations_are_correlations(decoders):
    for d in decoders.values():
        np.testing.assert_allclose(np.diag(d.correlation), 1)
        assert np.linalg.eigvalsh(d.correlation).min() > 0


def test_shapes_are_those_of_the_features(decoders):
    d = next(iter(decoders.values()))
    assert d.sd(np.ones((5, 4))).shape == (5, 4)
