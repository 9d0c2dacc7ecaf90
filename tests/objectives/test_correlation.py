import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from sure_pyro.objectives import concordance, kendall, pearson, spearman


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [3, 50, 1000])
def test_agrees_with_scipy(n, dtype):
    u, e = torch.rand(2, n, dtype=dtype)
    e = e + u
    expected = scipy.stats.pearsonr(u.double(), e.double()).statistic
    assert pearson(u, e).item() == pytest.approx(expected, abs=100 * torch.finfo(dtype).eps)


def test_counts_only_what_the_mask_lets_through():
    u, e = torch.rand(2, 40, dtype=torch.float64)
    mask = torch.arange(40) % 3 > 0
    expected = pearson(u[mask], e[mask])
    u[~mask], e[~mask] = float("nan"), float("inf")
    torch.testing.assert_close(pearson(u, e, mask), expected)


vectors = hnp.arrays(
    np.float64, 12, elements=st.floats(-10, 10, allow_subnormal=False), unique=True
)


@given(vectors, vectors, st.floats(0.1, 100), st.floats(-50, 50))
def test_sees_neither_scale_nor_offset_and_stays_in_range(u, e, b, a):
    u, e = torch.tensor(u), torch.tensor(e)
    if min(u.std(), e.std()) < 1e-3:
        return
    rho = pearson(u, e)
    torch.testing.assert_close(pearson(a + b * u, e), rho, atol=1e-6, rtol=0)
    torch.testing.assert_close(pearson(-u, e), -rho)
    torch.testing.assert_close(pearson(e, u), rho)
    assert -1 - 1e-9 <= rho <= 1 + 1e-9


def test_gradient_agrees_with_finite_differences():
    u = torch.rand(9, dtype=torch.float64, requires_grad=True)
    e = torch.rand(9, dtype=torch.float64, requires_grad=True)
    mask = torch.arange(9) != 4
    assert torch.autograd.gradcheck(lambda u, e: pearson(u, e, mask), (u, e))


def test_gradient_is_orthogonal_to_scale_and_offset():
    u = torch.rand(9, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(pearson(u, torch.rand(9, dtype=torch.float64)), u)
    torch.testing.assert_close(gradient.sum(), torch.tensor(0.0, dtype=torch.float64))
    torch.testing.assert_close((gradient * u).sum(), torch.tensor(0.0, dtype=torch.float64))


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-20, 3e8])
@pytest.mark.parametrize("n", [1, 2, 64])
def test_constant_uncertainties_or_errors_give_zero_and_a_zero_gradient(value, n):
    u = torch.full((n,), value, requires_grad=True)
    e = torch.rand(n, requires_grad=True)
    rho = pearson(u, e)
    rho.backward()
    assert rho == 0
    assert torch.equal(u.grad, torch.zeros(n))
    assert torch.equal(e.grad, torch.zeros(n))
    assert pearson(e, u) == 0


def test_an_empty_mask_and_an_empty_batch_give_zero():
    assert pearson(torch.rand(5), torch.rand(5), torch.zeros(5, dtype=torch.bool)) == 0
    assert pearson(torch.rand(0), torch.rand(0)) == 0


def test_half_precision_is_computed_in_single():
    u, e = 1e-4 * torch.rand(200).half(), 1e-4 * torch.rand(200).half()
    rho = pearson(u, e)
    assert rho.dtype == torch.float32
    assert rho.item() == pytest.approx(np.corrcoef(u.float(), e.float())[0, 1], abs=1e-5)


def test_tiny_and_huge_numbers_neither_vanish_nor_overflow():
    u, e = torch.rand(2, 30)
    expected = pearson(u, e)
    torch.testing.assert_close(pearson(1e-25 * u, 1e25 * e), expected)


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"one shape; got \[\(3,\), \(4,\)\]"):
        pearson(torch.rand(3), torch.rand(4))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("statistic", [pearson, concordance, spearman, kendall])
def test_what_is_not_finite_shows_where_it_counts_and_only_there(statistic, bad):
    u, e = torch.rand(2, 8)
    counts = torch.arange(8) > 0
    expected = statistic(u[1:], e[1:])
    u[0] = bad
    torch.testing.assert_close(statistic(u, e, counts), expected)
    assert statistic(u, e).isnan()
    assert statistic(e, u).isnan()
