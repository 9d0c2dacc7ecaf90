import pytest
import torch
from torchmetrics.functional import concordance_corrcoef

from sure_pyro.objectives import concordance, pearson

pytestmark = pytest.mark.usefixtures("double")


def by_definition(u, e):
    """Lin's formula, with variances that divide by n."""
    cov = ((u - u.mean()) * (e - e.mean())).mean()
    total = u.var(correction=0) + e.var(correction=0) + (u.mean() - e.mean()).square()
    return 2 * cov / total


@pytest.mark.parametrize("n", [2, 50])
def test_is_lins_formula(n):
    u = torch.rand(n)
    e = u + 0.3 * torch.rand(n)
    torch.testing.assert_close(concordance(u, e), by_definition(u, e))


def test_agrees_with_torchmetrics():
    u = torch.rand(100_000)
    e = 0.5 * u + 0.3 * torch.rand(100_000)
    # They divide the variances by n - 1 and the means' difference by 1: a relative 1 / n apart.
    torch.testing.assert_close(
        concordance(u, e), concordance_corrcoef(u, e).squeeze(), atol=0, rtol=2e-5
    )


def test_sees_scale_and_offset_where_pearson_does_not():
    u = torch.rand(50)
    assert concordance(u, u) == pytest.approx(1.0)
    assert concordance(u, u + 0.5) < 0.5
    assert concordance(u, 3 * u) < 0.5
    assert pearson(u, 3 * u + 0.5) == pytest.approx(1.0)


def test_is_pearson_where_mean_and_spread_agree():
    u, e = torch.rand(2, 50)
    u = (u - u.mean()) / u.std()
    e = (e - e.mean()) / e.std()
    torch.testing.assert_close(concordance(u, e), pearson(u, e))


def test_gradient_agrees_with_finite_differences():
    u, e = (torch.rand(9, requires_grad=True) for _ in range(2))
    mask = torch.arange(9) != 4
    assert torch.autograd.gradcheck(lambda u, e: concordance(u, e, mask), (u, e))


def test_counts_only_what_the_mask_lets_through():
    u, e = torch.rand(2, 40)
    mask = torch.arange(40) % 3 > 0
    expected = concordance(u[mask], e[mask])
    u[~mask], e[~mask] = float("nan"), float("inf")
    u.requires_grad_()
    rho = concordance(u, e, mask)
    torch.testing.assert_close(rho, expected)
    assert torch.autograd.grad(rho, u)[0].isfinite().all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e-20, 3e8])
@pytest.mark.parametrize("n", [1, 2, 64])
def test_constant_uncertainties_or_errors_give_zero_and_a_zero_gradient(value, n):
    u = torch.full((n,), value, requires_grad=True)
    e = torch.rand(n, requires_grad=True)
    rho = concordance(u, e)
    rho.backward()
    assert rho == 0
    assert torch.equal(u.grad, torch.zeros(n))
    assert torch.equal(e.grad, torch.zeros(n))
    assert concordance(e, u) == 0


def test_an_empty_mask_and_an_empty_batch_give_zero():
    assert concordance(torch.rand(5), torch.rand(5), torch.zeros(5, dtype=torch.bool)) == 0
    assert concordance(torch.rand(0), torch.rand(0)) == 0


def test_half_precision_is_computed_in_single_and_tiny_numbers_do_not_vanish():
    u, e = torch.rand(2, 200)
    half = concordance(1e-4 * u.half(), 1e-4 * e.half())
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(concordance(u, e).item(), abs=1e-2)
    torch.testing.assert_close(concordance(1e-160 * u, 1e-160 * e), concordance(u, e))


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"one shape; got \[\(3,\), \(4,\)\]"):
        concordance(torch.rand(3), torch.rand(4))
