import pytest
import torch

from sure_pyro.propagation import LowRankCovariance, sampling, taylor
from sure_pyro.propagation.more import unscented


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


W = randn(4, 3)
MEAN, VARIANCE = randn(5, 4), randn(5, 4, seed=1).square()


@pytest.mark.parametrize("kappa", [0.0, 2.0])
def test_affine_is_exact(kappa):
    y = unscented(lambda z: z @ W, MEAN, VARIANCE, kappa=kappa)
    torch.testing.assert_close(y.mean, MEAN @ W)
    torch.testing.assert_close(y.variance, VARIANCE @ W.square())
    spread = LowRankCovariance(randn(5, 4, 2), VARIANCE)
    y = unscented(lambda z: z @ W, MEAN, spread, kappa=kappa)
    torch.testing.assert_close(y.variance, taylor(lambda z: z @ W, MEAN, spread).variance)


def test_rows_that_leak_are_refused():
    leak = torch.nn.BatchNorm1d(4).double()
    with pytest.raises(ValueError, match="mixes its rows"):
        unscented(leak, MEAN, VARIANCE)
    unscented(leak, MEAN, VARIANCE, check_rows=False)


def test_mean_is_exact_to_third_degree():
    # E[z^3] = mu^3 + 3 mu s2, of each entry of four
    y = unscented(lambda z: z**3, MEAN, VARIANCE)
    torch.testing.assert_close(y.mean, MEAN**3 + 3 * MEAN * VARIANCE)


def test_one_entry_with_kappa_two_is_exact_on_quadratics():
    # D + kappa = 3 matches the fourth moment of a Gaussian
    y = unscented(torch.square, MEAN[:, :1], VARIANCE[:, :1], kappa=2.0)
    m, s2 = MEAN[:, :1], VARIANCE[:, :1]
    torch.testing.assert_close(y.variance, 4 * m.square() * s2 + 2 * s2.square())


def test_sources_interaction_noise_and_certain_rows():
    mean = {"a": torch.full((4, 1), 2.0), "b": torch.full((4, 1), 3.0)}
    variance = {
        "a": torch.tensor([[0.5], [0.5], [0.0], [0.0]]),
        "b": torch.tensor([[0.25], [0.0], [0.25], [0.0]]),
    }
    fn = lambda z: (z["a"] * z["b"], z["a"].square())  # noqa: E731
    y = unscented(fn, mean, variance)
    torch.testing.assert_close(y.sources["a"], 9 * variance["a"])
    torch.testing.assert_close(y.sources["b"], 4 * variance["b"])
    torch.testing.assert_close(y.sources["head"], 4 + variance["a"])
    assert (y.sources["interaction"][1:] == 0).all()
    assert (y.variance[3] == 4).all()


def test_chunks_do_not_matter_and_it_is_near_the_draws():
    fn = lambda z: torch.tanh(z @ W / 2)  # noqa: E731
    y = unscented(fn, MEAN, VARIANCE / 10)
    torch.testing.assert_close(unscented(fn, MEAN, VARIANCE / 10, max_rows=1).variance, y.variance)
    truth = sampling(fn, MEAN, VARIANCE / 10, num_samples=20_000)
    assert float(y.variance.sum() / truth.variance.sum()) == pytest.approx(1, abs=0.1)


def test_errors():
    with pytest.raises(ValueError, match="must not be negative"):
        unscented(torch.tanh, MEAN, VARIANCE, kappa=-1.0)
    with pytest.raises(ValueError, match="sigma points of `fn` is not finite"):
        unscented(lambda z: z.log(), MEAN.abs(), VARIANCE + 10)
