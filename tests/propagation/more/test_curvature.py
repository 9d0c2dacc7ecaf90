from itertools import pairwise

import pytest
import torch
from torch import nn

from sure_pyro.propagation import FullCovariance, LowRankCovariance, sampling, taylor
from sure_pyro.propagation.more import second_order


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


A, B = randn(5, 5, 3), randn(5, 3, seed=1)
H = A + A.transpose(0, 1)  # Hessian of x^T A x, (D, D, C)


def quadratic(z):
    x = torch.cat(list(z.values()), -1) if isinstance(z, dict) else z
    return torch.einsum("bi,ijc,bj->bc", x, A, x) + x @ B


def closed_form(x, S):
    """Mean and variance (B, C) of the quadratic for x ~ Normal(x, S)."""
    J = torch.einsum("ijc,bj->bic", H, x) + B
    mean = quadratic(x) + torch.einsum("ijc,bji->bc", H, S) / 2
    first = torch.einsum("bic,bij,bjc->bc", J, S, J)
    HS = torch.einsum("ijc,bjk->bcik", H, S)
    return mean, first + (HS * HS.mT).sum((-1, -2)) / 2


def test_exact_on_quadratics_for_every_covariance():
    x, variance = randn(4, 5, seed=2), randn(4, 5, seed=3).square()
    root, factor = randn(4, 5, 5, seed=4), randn(4, 5, 2, seed=5)
    for spread, dense in [
        (variance, variance.diag_embed()),
        (FullCovariance(root @ root.mT), root @ root.mT),
        (LowRankCovariance(factor, variance), factor @ factor.mT + variance.diag_embed()),
    ]:
        y = second_order(quadratic, x, spread)
        mean, total = closed_form(x, dense)
        torch.testing.assert_close(y.mean, mean)
        torch.testing.assert_close(y.variance, total)


def test_interaction_is_what_two_sources_make_together():
    mean = {"a": randn(4, 2, seed=2), "b": randn(4, 3, seed=3)}
    variance = {name: torch.full_like(z, 0.5) for name, z in mean.items()}
    y = second_order(quadratic, mean, variance)
    x = torch.cat(list(mean.values()), -1)
    s2 = torch.full_like(x, 0.5)
    exact_mean, exact = closed_form(x, s2.diag_embed())
    torch.testing.assert_close(y.mean, exact_mean)
    torch.testing.assert_close(y.variance, exact)
    only_a = torch.cat([s2[:, :2], 0 * s2[:, 2:]], -1).diag_embed()
    torch.testing.assert_close(y.sources["a"], closed_form(x, only_a)[1])
    assert list(y.sources) == ["a", "b", "interaction"]


def test_probes_are_unbiased():
    # 300 equal rows are repetitions; the mean over them is within 4.5 of its standard errors.
    x = randn(1, 5, seed=2).expand(300, -1)
    variance = torch.full_like(x, 0.5)
    exact = second_order(quadratic, x[:1], variance[:1])
    y = second_order(quadratic, x, variance, probes=2, seed=3)
    for value, truth in ((y.mean, exact.mean), (y.variance, exact.variance)):
        error = value.std(0) / 300**0.5
        assert ((value.mean(0) - truth[0]).abs() < 4.5 * error).all()
    again = second_order(quadratic, x, variance, probes=2, seed=3)
    assert torch.equal(again.variance, y.variance)


def test_affine_has_no_curvature():
    x = randn(3, 5)
    y = second_order(lambda z: z @ B, x, torch.ones_like(x))
    first = taylor(lambda z: z @ B, x, torch.ones_like(x))
    torch.testing.assert_close(y.variance, first.variance)
    torch.testing.assert_close(y.mean, first.mean)


def test_the_error_shrinks_one_order_faster():
    mean = torch.full((1, 1), 0.7, dtype=torch.float64)
    errors = []
    for v in (1e-1, 1e-2, 1e-3):
        s2 = torch.full_like(mean, v)
        e_sin = torch.exp(-s2 / 2) * mean.sin()
        exact = (1 - torch.exp(-2 * s2) * torch.cos(2 * mean)) / 2 - e_sin.square()
        y = second_order(torch.sin, mean, s2)
        errors.append((float(y.mean / e_sin - 1), float(y.variance / exact - 1)))
    for (mean_1, _), (mean_2, _) in pairwise(errors):
        assert mean_1 / mean_2 == pytest.approx(100, rel=0.1)
    assert all(abs(first[1]) > 8 * abs(second[1]) for first, second in pairwise(errors))


def test_attention_and_gradient():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation="gelu")
    net = nn.Sequential(layer, nn.Flatten(), nn.Linear(8, 1)).double().eval()
    mean, variance = randn(2, 2, 4), torch.full((2, 2, 4), 0.02).double()
    y = second_order(net, mean, variance)
    truth = sampling(net, mean, variance, num_samples=20_000, control="taylor")
    first = taylor(net, mean, variance)
    assert ((y.mean - truth.mean).abs() < (first.mean - truth.mean).abs() / 2).all()
    variance.requires_grad_()
    graph = second_order(net, mean, variance, create_graph=True)
    (gradient,) = torch.autograd.grad(graph.variance.sum() + graph.mean.sum(), variance)
    assert gradient.isfinite().all()


def test_rows_and_sources_that_are_certain_have_no_curvature():
    mean = {"a": randn(4, 2, seed=2), "b": randn(4, 3, seed=3)}
    variance = {name: torch.full_like(z, 0.5) for name, z in mean.items()}
    variance["a"][:2], variance["b"][1:3] = 0, 0
    y = second_order(lambda z: (quadratic(z), torch.ones(len(z["a"]), 3).double()), mean, variance)
    assert list(y.sources) == ["a", "b", "interaction", "head"]
    for row in range(4):
        cut = [{name: z[row : row + 1] for name, z in x.items()} for x in (mean, variance)]
        alone = second_order(quadratic, *cut)
        torch.testing.assert_close(y.mean[row], alone.mean[0])
        for name in ("a", "b", "interaction"):
            expected = alone.sources.get(name, torch.zeros_like(y.mean[:1]))
            torch.testing.assert_close(y.sources[name][row], expected[0])
    assert (y.sources["interaction"][:3] == 0).all()
    assert y.sources["interaction"][3].all()


def test_nothing_uncertain_is_the_function_alone():
    x = randn(3, 5)
    y = second_order(quadratic, x, torch.zeros_like(x))
    torch.testing.assert_close(y.mean, quadratic(x))
    assert (y.variance == 0).all()


def test_errors():
    z = torch.zeros(2, 3)
    with pytest.raises(ValueError, match="`probes` must be positive; got 0"):
        second_order(torch.tanh, z, z, probes=0)
    with pytest.raises(ValueError, match=r"to second order .* not finite in rows \[0, 1\]"):
        second_order(lambda z: z.abs() ** 1.5, z, z + 1)
