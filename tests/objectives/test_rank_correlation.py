import numpy as np
import pytest
import scipy.stats
import torch

from sure_pyro.objectives import kendall, pearson, spearman
from sure_pyro.objectives.rank_correlation import soft_signs

pytestmark = pytest.mark.usefixtures("double")
STATISTICS = {spearman: scipy.stats.spearmanr, kendall: scipy.stats.kendalltau}


@pytest.fixture(params=STATISTICS, ids=lambda f: f.__name__)
def statistic(request):
    return request.param


def pair(n=40, seed=0):
    g = torch.Generator().manual_seed(seed)
    u = torch.rand(n, generator=g)
    return u, u + torch.rand(n, generator=g)


@pytest.mark.parametrize("temperature", [0.0, 1e-6])
@pytest.mark.parametrize("n", [2, 3, 40, 300])
def test_is_scipys_when_the_temperature_is_zero_or_nearly_so(statistic, n, temperature):
    u, e = pair(n)
    expected = STATISTICS[statistic](u, e).statistic
    assert statistic(u, e, temperature=temperature).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("temperature", [0.0, 1e-6])
def test_ties_count_as_they_do_in_scipy(statistic, temperature):
    u, e = pair()
    u, e = (4 * u).round(), (3 * e).round()
    expected = STATISTICS[statistic](u, e).statistic
    assert statistic(u, e, temperature=temperature).item() == pytest.approx(expected, abs=1e-9)


def test_the_hard_value_is_approached_as_the_temperature_falls(statistic):
    differences = []
    for temperature in (1.0, 0.1, 0.01, 0.001):
        values = [
            (statistic(*pair(100, s), temperature=temperature)
             - statistic(*pair(100, s), temperature=0.0)).abs()
            for s in range(10)
        ]  # fmt: skip
        differences.append(torch.stack(values).mean().item())
    assert differences == sorted(differences, reverse=True)
    assert differences[1] < 0.04  # at the default
    assert differences[-1] < 1e-3


def test_a_high_temperature_gives_pearson():
    u, e = pair()
    torch.testing.assert_close(spearman(u, e, temperature=1e4), pearson(u, e), atol=1e-6, rtol=0)


def test_soft_signs_are_the_formula():
    x = torch.tensor([0.0, 1.0, 4.0])
    signs = soft_signs(x, torch.ones(3, dtype=torch.bool), torch.tensor(3), 0.5)
    g = (1 + 4 + 3) / 3
    torch.testing.assert_close(signs[0], torch.tensor([0.0, -1.0, -4.0]).div(0.5 * g).tanh())
    torch.testing.assert_close(signs, -signs.T)


def test_sees_neither_scale_nor_offset(statistic):
    u, e = pair()
    expected = statistic(u, e)
    torch.testing.assert_close(statistic(3.0 + 1e6 * u, 1e-9 * e), expected)
    torch.testing.assert_close(statistic(-u, e), -expected)
    torch.testing.assert_close(statistic(e, u), expected)
    assert expected.abs() <= 1


def test_one_outlier_moves_it_less_than_pearson(statistic):
    u, e = pair(100)
    e[u.argmin()] = 100.0
    assert pearson(u, e) < 0
    assert statistic(u, e, temperature=0.01) > 0.4


def test_gradient_agrees_with_finite_differences(statistic):
    u, e = (x.requires_grad_() for x in pair(9))
    mask = torch.arange(9) != 4
    assert torch.autograd.gradcheck(lambda u, e: statistic(u, e, mask), (u, e))


def test_gradient_raises_it(statistic):
    u, e = pair(30)
    u = (1 - u).requires_grad_()
    before = statistic(u, e)
    (gradient,) = torch.autograd.grad(before, u)
    assert statistic(u + 0.1 * gradient / gradient.norm(), e) > before


def test_counts_only_what_the_mask_lets_through(statistic):
    u, e = pair()
    mask = torch.arange(40) % 3 > 0
    expected = statistic(u[mask], e[mask])
    u, e = u.clone(), e.clone()
    u[~mask], e[~mask] = float("nan"), float("inf")
    u.requires_grad_()
    rho = statistic(u, e, mask)
    torch.testing.assert_close(rho, expected)
    (gradient,) = torch.autograd.grad(rho, u)
    assert torch.equal(gradient[~mask], torch.zeros(int((~mask).sum())))
    assert gradient.isfinite().all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-20, 3e8])
@pytest.mark.parametrize("n", [1, 2, 64])
def test_constant_uncertainties_or_errors_give_zero_and_a_zero_gradient(statistic, value, n):
    u = torch.full((n,), value, requires_grad=True)
    e = torch.rand(n, requires_grad=True)
    rho = statistic(u, e)
    rho.backward()
    assert rho == 0
    assert torch.equal(u.grad, torch.zeros(n))
    assert torch.equal(e.grad, torch.zeros(n))
    assert statistic(e, u) == 0


def test_what_differs_by_rounding_alone_is_constant(statistic):
    u = (torch.full((8,), 0.1) * (1 + 1e-16 * torch.arange(8))).requires_grad_()
    rho = statistic(u, torch.rand(8))
    rho.backward()
    assert rho == 0
    assert torch.equal(u.grad, torch.zeros(8))


def test_an_empty_mask_and_an_empty_batch_give_zero(statistic):
    assert statistic(torch.rand(5), torch.rand(5), torch.zeros(5, dtype=torch.bool)) == 0
    assert statistic(torch.rand(0), torch.rand(0)) == 0


def test_half_precision_is_computed_in_single(statistic):
    u, e = 1e-4 * torch.rand(50).half(), 1e-4 * torch.rand(50).half()
    rho = statistic(u, e, temperature=0.0)
    assert rho.dtype == torch.float32
    expected = STATISTICS[statistic](u.float(), e.float()).statistic
    assert rho.item() == pytest.approx(np.float64(expected), abs=1e-5)


def test_bad_arguments(statistic):
    with pytest.raises(ValueError, match=r"one shape; got \[\(3,\), \(4,\)\]"):
        statistic(torch.rand(3), torch.rand(4))
    with pytest.raises(ValueError, match="`temperature` must be at least 0; got -1"):
        statistic(torch.rand(3), torch.rand(3), temperature=-1.0)
