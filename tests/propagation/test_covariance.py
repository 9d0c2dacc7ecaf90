import pytest
import torch

from sure_pyro.propagation import FullCovariance, LowRankCovariance, taylor
from sure_pyro.propagation.covariance import Diagonal, as_covariance, safe_sqrt


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


VARIANCE, FACTOR, ROOT = randn(3, 4).square(), randn(3, 4, 2, seed=1), randn(3, 4, 4, seed=2)
KINDS = {
    "diagonal": (Diagonal(VARIANCE), VARIANCE.diag_embed()),
    "full": (FullCovariance(ROOT @ ROOT.mT), ROOT @ ROOT.mT),
    "low rank": (
        LowRankCovariance(FACTOR, VARIANCE),
        FACTOR @ FACTOR.mT + VARIANCE.diag_embed(),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_equals_that_of_the_dense_matrix(kind):
    covariance, dense = KINDS[kind]
    J = randn(5, 3, 4, seed=3)
    torch.testing.assert_close(
        covariance.quadratic(J), torch.einsum("kbd,bde,kbe->kb", J, dense, J)
    )
    between = torch.einsum("kbd,bde,lbe->bkl", J, dense, J)
    torch.testing.assert_close(covariance.between(J.transpose(0, 1)), between)
    columns = torch.eye(covariance.columns).double()[:, None].expand(-1, 3, -1)
    L = covariance.root(columns)  # (R, B, D)
    torch.testing.assert_close(torch.einsum("rbd,rbe->bde", L, L), dense)
    rows = torch.tensor([2, 0])
    torch.testing.assert_close(
        covariance.rows(rows).quadratic(J[:, rows]), covariance.quadratic(J)[:, rows]
    )
    assert (covariance.magnitude() > 0).all()


def test_rows_without_uncertainty():
    zero = torch.zeros(2, 4).double()
    one_row = zero.index_fill(0, torch.tensor([1]), 1.0)
    expected = [0.0, 1.0]
    assert Diagonal(one_row).magnitude().tolist() == expected
    assert FullCovariance(one_row.diag_embed()).magnitude().tolist() == expected
    low_rank = LowRankCovariance(1e-200 * one_row[..., None], zero)  # its square is zero
    assert (low_rank.magnitude() > 0).tolist() == [False, True]
    assert (LowRankCovariance(zero[..., None][..., :0], zero).magnitude() == 0).all()


def test_a_semidefinite_covariance_has_a_root():
    matrix = torch.tensor([[[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]).double()
    covariance = as_covariance("z", FullCovariance(matrix), torch.zeros(1, 3).double())
    L = covariance.root(torch.eye(3).double()[:, None])
    torch.testing.assert_close(torch.einsum("rbd,rbe->bde", L, L), matrix)


def test_events_are_flattened():
    mean = torch.zeros(2, 3, 2)
    factor = torch.ones(2, 3, 2, 1)
    y = taylor(lambda z: z.sum((1, 2))[:, None], mean, LowRankCovariance(factor, mean))
    assert (y.variance == 36).all()  # one factor moves all six entries together
    assert as_covariance("z", mean + 1, mean).columns == 6
    assert as_covariance("z", torch.ones(2), torch.zeros(2)).columns == 1


def test_root_of_zero_has_a_gradient_of_zero():
    value = torch.tensor([0.0, 4.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(safe_sqrt(value).sum(), value)
    torch.testing.assert_close(gradient, torch.tensor([0.0, 0.25]))


@pytest.mark.parametrize(
    ("value", "error", "match"),
    [
        (torch.ones(2, 2), ValueError, r"variance of 'z' needs shape \(2, 3\)"),
        (
            FullCovariance(torch.ones(2, 2, 2)),
            ValueError,
            r"covariance of 'z' needs shape \(2, 3, 3\)",
        ),
        (
            LowRankCovariance(torch.ones(2, 2, 1), torch.ones(2, 3)),
            ValueError,
            r"factor of 'z' needs",
        ),
        (FullCovariance(-torch.eye(3).expand(2, 3, 3)), ValueError, "positive semi-definite"),
        (FullCovariance(torch.ones(2, 3, 3).tril()), ValueError, "symmetric"),
        (torch.tensor([[1.0, 1, 1], [1, -1, 1]]), ValueError, r"not in rows \[1\] \(minimum -1\)"),
        (
            LowRankCovariance(torch.full((2, 3, 1), float("nan")), torch.ones(2, 3)),
            ValueError,
            "not finite",
        ),
        (0.5, TypeError, "must be a Tensor"),
    ],
)
def test_bad_covariances(value, error, match):
    if error is TypeError:
        match = None  # in these tests, by the annotation
    with pytest.raises(error, match=match):
        as_covariance("z", value, torch.zeros(2, 3))
