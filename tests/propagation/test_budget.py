import pytest
import torch

from sure_pyro.propagation import sampling


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def rand(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


def test_draw_until_the_error_is_small_enough():
    mean, variance = randn(6, 4) / 3, rand(6, 4) / 20
    y = sampling(torch.tanh, mean, variance, num_samples=50, relative_error=0.05)
    assert y.num_samples > 500  # 0.05 takes about 2 / 0.05^2 = 800 Gaussian draws
    assert (y.errors["total"] <= 0.05 * y.variance).all()
    controlled = sampling(
        torch.tanh, mean, variance, num_samples=50, relative_error=0.05, control="taylor"
    )
    assert controlled.num_samples < y.num_samples / 4
    with pytest.warns(UserWarning, match="Stopped after 100 draws"):
        sampling(torch.tanh, mean, variance, relative_error=0.01, num_samples=50, max_samples=100)


def test_zero_variance_and_infinite_outputs_do_not_go_on_for_ever():
    mean, variance = randn(3, 2), torch.zeros(3, 2).double()
    variance[:, 0] = 1
    y = sampling(lambda z: z, mean, variance, num_samples=100, relative_error=0.1)
    assert (y.variance[:, 1] == 0).all()
    with pytest.raises(ValueError, match="draws of `fn` is not finite"):
        sampling(lambda z: 1 / (z < 1).double(), 0 * mean, variance, relative_error=0.1)


def test_errors():
    z = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="at least 2"):
        sampling(torch.tanh, z, z + 1, num_samples=1)
    with pytest.raises(ValueError, match="`max_rows` must be positive"):
        sampling(torch.tanh, z, z + 1, max_rows=0)
    with pytest.raises(ValueError, match="`relative_error` must be positive"):
        sampling(torch.tanh, z, z + 1, relative_error=0.0)
