import pytest
import torch
from scipy import stats

from sure_pyro.propagation.noise import LaplaceNoise, NormalNoise, StudentTNoise, make_generator

LIKE = torch.empty(0, dtype=torch.float64)
TRUTH = {
    NormalNoise(): stats.norm(),
    LaplaceNoise(): stats.laplace(scale=0.5**0.5),
    StudentTNoise(5.0): stats.t(5, scale=(3 / 5) ** 0.5),
    StudentTNoise(2.5): stats.t(2.5, scale=(0.5 / 2.5) ** 0.5),
}


@pytest.mark.parametrize("noise", TRUTH)
def test_distribution_and_unit_variance(noise):
    # Kolmogorov-Smirnov at level 1e-3 with a fixed seed
    draws = noise.draw((20_000,), LIKE, torch.Generator().manual_seed(0))
    assert draws.dtype == torch.float64
    assert stats.kstest(draws.numpy(), TRUTH[noise].cdf).pvalue > 1e-3
    assert TRUTH[noise].var() == pytest.approx(1)


@pytest.mark.parametrize("noise", TRUTH)
def test_single_precision_is_finite_at_the_ends(noise):
    ends = torch.tensor([[2**-24, 0.5], [1 - 2**-24, 0.5]])
    assert noise.from_uniform(ends).isfinite().all()
    assert noise.draw((1000,), ends, torch.Generator()).dtype == torch.float32


def test_generator():
    given = torch.Generator()
    assert make_generator(given, LIKE.device) is given
    first, second = (make_generator(3, LIKE.device).initial_seed() for _ in range(2))
    assert first == second == 3


def test_no_variance_below_two_degrees():
    with pytest.raises(ValueError, match="must exceed 2"):
        StudentTNoise(2.0)
