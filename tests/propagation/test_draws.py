import pytest
import torch

from sure_pyro.propagation import (
    LaplaceNoise,
    LowRankCovariance,
    NormalNoise,
    StudentTNoise,
    sampling,
)
from sure_pyro.propagation.draws import Sobol
from sure_pyro.propagation.prepare import prepare

SIGMAS = 4.5


def rmse(fn, mean, variance, truth, **options):
    y = sampling(fn, mean, variance, **options)
    return y, float((y.variance - truth).square().mean().sqrt())


def test_sobol_is_more_accurate_and_its_error_right():
    # Var[sin z] is known; 200 rows are 200 repetitions.
    v = 0.8
    mean, variance = torch.full((200, 3), 0.5).double(), torch.full((200, 3), v).double()
    fn = lambda z: torch.sin(z).sum(-1, keepdim=True)  # noqa: E731
    m, s2 = mean[0, :1], variance[0, :1]
    truth = 3 * (
        (1 - torch.exp(-2 * s2) * torch.cos(2 * m)) / 2 - (torch.exp(-s2 / 2) * m.sin()).square()
    )
    plain, plain_rmse = rmse(fn, mean, variance, truth, num_samples=1024)
    sobol, sobol_rmse = rmse(fn, mean, variance, truth, num_samples=1024, draws="sobol")
    assert sobol_rmse < plain_rmse / 2
    stated = float(sobol.errors["total"].square().mean().sqrt())
    assert stated == pytest.approx(sobol_rmse, rel=0.25)
    assert sobol.num_samples == 1024
    # Errors of different rows are independent: the mean over 200 rows is closer by far.
    assert abs(float(sobol.variance.mean() - truth)) < SIGMAS * sobol_rmse / 200**0.5


def test_sobol_with_control_seed_and_low_rank():
    mean = torch.zeros(4, 3).double()
    spread = LowRankCovariance(torch.ones(4, 3, 1).double(), torch.ones(4, 3).double())
    y = sampling(lambda z: z, mean, spread, num_samples=64, draws="sobol", control="taylor")
    torch.testing.assert_close(y.variance, torch.full((4, 3), 2.0).double())
    plain = sampling(lambda z: z, mean, spread, num_samples=4096, draws="sobol")
    again = sampling(lambda z: z, mean, spread, num_samples=4096, draws="sobol")
    assert torch.equal(plain.variance, again.variance)
    torch.testing.assert_close(plain.variance, y.variance, rtol=0.03, atol=0)


def test_sobol_with_two_uniforms_per_entry():
    mean, variance = torch.zeros(20, 2).double(), torch.ones(20, 2).double()
    y = sampling(
        lambda z: z, mean, variance, num_samples=4096, draws="sobol", noise=StudentTNoise(9)
    )
    torch.testing.assert_close(y.variance.mean(0), variance[0], rtol=0.02, atol=0)


class AtTheEdge:
    """An engine whose points are the lowest and the highest, as torch rounds its first: to 1."""

    def draw(self, num, dtype):
        return torch.tensor([[0.0], [1 - 2.0**-30], [1.0]], dtype=dtype)


@pytest.mark.parametrize("noise", [NormalNoise(), LaplaceNoise()])
def test_the_outermost_points_are_finite_and_symmetric(noise):
    inputs = prepare(torch.tanh, torch.zeros(1, 1).double(), torch.ones(1, 1).double())
    sobol = Sobol(inputs, {"input": noise}, torch.Generator().manual_seed(0))
    sobol.engines, sobol.shift = [AtTheEdge()], torch.zeros(1, 1, dtype=torch.long)
    low, high, rounded = sobol.draw(3, 0)["input"].flatten().tolist()
    assert -low == pytest.approx(high, rel=1e-9)  # u = 2^-31 and 1 - 2^-31
    assert rounded == high
    assert 6 < high < 16


def test_errors():
    z = torch.zeros(2, 3)
    with pytest.raises(Exception, match="draws"):
        sampling(torch.tanh, z, z + 1, draws="antithetic")
    with pytest.raises(ValueError, match=r"`noise` names \['text'\]"):
        sampling(torch.tanh, z, z + 1, noise={"text": StudentTNoise(5)})
    wide = torch.zeros(1, 22_000)
    with pytest.raises(ValueError, match="at most 21201 dimensions"):
        sampling(lambda z: z[:, :1], wide, wide + 1, draws="sobol")
