import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sure_pyro.propagation import (
    FullCovariance,
    LowRankCovariance,
    sampling,
    taylor,
)
from sure_pyro.propagation.more import unscented


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def rand(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


W = randn(4, 3)


def affine(z):
    return z @ W + 1


def two_sources(z):
    return torch.tanh(z["a"] @ W) * z["b"]


def test_affine_is_exact_for_every_covariance():
    mean, variance = randn(5, 4), rand(5, 4)
    y = taylor(affine, mean, variance)
    torch.testing.assert_close(y.mean, mean @ W + 1)
    torch.testing.assert_close(y.variance, variance @ W.square())
    assert list(y.sources) == ["input"]

    root = randn(5, 4, 4, seed=1)
    full = taylor(affine, mean, FullCovariance(root @ root.mT), output_covariance=True)
    torch.testing.assert_close(full.covariance, W.T @ root @ root.mT @ W)
    torch.testing.assert_close(
        taylor(affine, mean, FullCovariance(root @ root.mT)).variance,
        full.covariance.diagonal(dim1=-2, dim2=-1),
    )
    factor = randn(5, 4, 2, seed=2)
    low = taylor(affine, mean, LowRankCovariance(factor, variance), output_covariance=True)
    dense = factor @ factor.mT + variance.diag_embed()
    torch.testing.assert_close(low.covariance, W.T @ dense @ W)
    torch.testing.assert_close(
        taylor(affine, mean, LowRankCovariance(factor, variance)).variance, low.variance
    )


def test_sources_equal_the_jacobian_formula():
    mean = {"a": randn(6, 4), "b": randn(6, 1, seed=1)}
    variance = {"a": rand(6, 4), "b": rand(6, 1, seed=1)}
    y = taylor(two_sources, mean, variance)
    for row in range(6):
        cut = {name: z[row : row + 1] for name, z in mean.items()}
        for name in mean:
            J = torch.autograd.functional.jacobian(
                lambda z, cut=cut, name=name: two_sources({**cut, name: z})[0], cut[name]
            )[:, 0]  # (C, D)
            expected = J.square() @ variance[name][row]
            torch.testing.assert_close(y.sources[name][row], expected)
    torch.testing.assert_close(y.variance, y.sources["a"] + y.sources["b"])


@pytest.mark.parametrize("order", [["a", "b"], ["b", "a"]])
def test_order_of_sources_and_rows_does_not_matter(order):
    mean = {"a": randn(6, 4), "b": randn(6, 1, seed=1)}
    variance = {"a": rand(6, 4), "b": rand(6, 1, seed=1)}
    y = taylor(two_sources, mean, variance)
    shuffle = torch.tensor([3, 1, 5, 0, 2, 4])
    permuted = taylor(
        two_sources,
        {name: mean[name][shuffle] for name in order},
        {name: variance[name][shuffle] for name in order},
    )
    assert list(permuted.sources) == order
    for name in order:
        torch.testing.assert_close(permuted.sources[name], y.sources[name][shuffle])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_variance_scales_with_the_input_variance(seed, factor):
    mean, variance = randn(3, 4, seed=seed), rand(3, 4, seed=seed)
    y = taylor(lambda z: torch.tanh(z @ W), mean, variance)
    scaled = taylor(lambda z: torch.tanh(z @ W), mean, factor * variance)
    torch.testing.assert_close(scaled.variance, factor * y.variance)
    assert (y.variance >= 0).all()


def test_error_shrinks_at_its_known_order():
    # y = sin(z): Var = (1 - exp(-2 v))/2 - exp(-v) sin^2 + ..., exact by the characteristic
    # function; Taylor's relative error is of the order of the variance.
    mean = torch.full((1, 1), 0.7, dtype=torch.float64)
    errors = []
    for v in (1e-2, 1e-3, 1e-4):
        s2 = torch.full_like(mean, v)
        exact = (1 - torch.exp(-2 * s2) * torch.cos(2 * mean)) / 2 - (
            torch.exp(-s2 / 2) * torch.sin(mean)
        ).square()
        errors.append(float((taylor(torch.sin, mean, s2).variance / exact - 1).abs()))
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(10, rel=0.1)


class Counter(nn.Module):
    """Counts the rows it saw, and which inputs wanted a gradient."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def forward(self, z):
        wanted = {name for name, value in z.items() if value.requires_grad}
        self.calls.append((len(z["a"]), wanted))
        return torch.tanh(z["a"] @ W) * z["b"] + z["mask"].sum(-1, keepdim=True)


def test_only_uncertain_rows_and_sources_are_differentiated():
    mean = {"a": randn(10, 4), "b": randn(10, 1), "mask": torch.ones(10, 2, dtype=torch.bool)}
    variance = {"a": rand(10, 4), "b": torch.zeros(10, 1, dtype=torch.float64)}
    variance["a"][1:] = 0
    fn = Counter()
    y = taylor(fn, mean, variance, check_rows=False)
    # 9 certain rows with an uncertain one as witness; then the latter alone
    assert fn.calls == [(10, set()), (1, {"a"})]
    assert (y.sources["a"][0] > 0).all()
    assert (y.sources["a"][1:] == 0).all()
    assert (y.sources["b"] == 0).all()
    torch.testing.assert_close(y.mean, fn(mean))


def test_all_rows_certain_is_one_forward_pass():
    fn = Counter()
    mean = {"a": randn(3, 4), "b": randn(3, 1), "mask": torch.ones(3, 2)}
    y = taylor(fn, mean, {"a": torch.zeros(3, 4, dtype=torch.float64)}, check_rows=False)
    assert fn.calls == [(3, set())]
    assert (y.variance == 0).all()


def test_function_noise_becomes_the_head():
    mean, variance = randn(5, 4), rand(5, 4)
    variance[2:] = 0
    y = taylor(lambda z: (affine(z), torch.full((len(z), 3), 2.0)), mean, variance, head="noise")
    assert y.sources["noise"].dtype == torch.float64
    assert (y.sources["noise"] == 2).all()
    both = taylor(
        lambda z: (affine(z), torch.full((len(z), 3), 2.0)), mean, variance, output_covariance=True
    )
    torch.testing.assert_close(both.covariance.diagonal(dim1=-2, dim2=-1), y.variance)


def test_gradient_flows_through_the_variance_when_asked():
    mean, variance = randn(3, 4), rand(3, 4)
    weight = W.clone().requires_grad_()

    def total(mean, variance, weight):
        fn = lambda z: torch.tanh(z @ weight)  # noqa: E731
        return taylor(fn, mean, variance, create_graph=True).variance

    arguments = (mean.requires_grad_(), variance.requires_grad_(), weight)
    assert torch.autograd.gradcheck(total, arguments)
    assert not taylor(torch.tanh, mean, variance).variance.requires_grad


def transformer():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return nn.Sequential(encoder, nn.Flatten(), nn.Linear(24, 2)).eval().requires_grad_(False)


def test_token_sequences_and_fused_attention():
    net = transformer()
    mean, variance = randn(4, 3, 8).float(), rand(4, 3, 8).float()
    with torch.no_grad():
        y = taylor(net, mean, variance)
    for row in range(4):
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            J = torch.autograd.functional.jacobian(net, mean[row : row + 1])[0, :, 0]
        expected = (J.square() * variance[row]).sum((-1, -2))
        torch.testing.assert_close(y.variance[row], expected, rtol=1e-4, atol=1e-6)
    graph = taylor(net, mean, variance.requires_grad_(), create_graph=True).variance.sum()
    assert torch.autograd.grad(graph, variance)[0].isfinite().all()


def test_caller_modes():
    net = nn.Linear(4, 3)
    mean, variance = randn(5, 4).float(), rand(5, 4).float()
    expected = taylor(net, mean, variance)
    with torch.inference_mode():
        y = taylor(net, mean.clone(), variance.clone())
    torch.testing.assert_close(y.variance, expected.variance)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = taylor(net, mean, variance)
    assert y.mean.dtype == y.variance.dtype == torch.float32
    torch.testing.assert_close(y.variance, expected.variance, rtol=0.05, atol=0.01)


def test_a_function_that_cuts_the_graph_is_refused():
    mean, variance = randn(3, 4), rand(3, 4)
    with pytest.raises(ValueError, match="carries no gradient"):
        taylor(torch.no_grad()(affine), mean, variance)
    variance[1:] = 0
    constant = taylor(lambda z: torch.ones(len(z), 2), mean, variance)
    assert (constant.variance == 0).all()


def test_values_that_are_not_finite_are_named_by_row():
    mean, variance = randn(3, 2), rand(3, 2)
    bad = mean.clone()
    bad[1, 0] = float("nan")
    with pytest.raises(ValueError, match=r"`mean\['input'\]` is not finite in rows \[1\]"):
        taylor(torch.tanh, bad, variance)
    with pytest.raises(ValueError, match=r"non-negative; it is not in rows \[0, 2\]"):
        taylor(torch.tanh, mean, torch.tensor([[-1.0, 1], [1, 1], [1, float("nan")]]).double())
    mean = mean.abs() * torch.tensor([[1.0], [1], [-1]])
    with pytest.raises(ValueError, match=r"output of `fn` at the mean is not finite in rows \[2\]"):
        taylor(torch.log, mean, variance)
    variance[:2] = 0  # in the second of two blocks, the row number is still that of the batch
    with pytest.raises(ValueError, match=r"output of `fn` at the mean is not finite in rows \[2\]"):
        taylor(torch.log, mean, variance)
    with pytest.raises(ValueError, match=r"gradient of `fn`\) is not finite in rows \[0, 1, 2\]"):
        taylor(torch.sqrt, torch.zeros(3, 2), torch.ones(3, 2))


@pytest.mark.parametrize(
    ("mean", "variance", "error", "match"),
    [
        (torch.zeros(2, 3), torch.ones(2, 4), ValueError, r"needs shape \(2, 3\).*got \(2, 4\)"),
        (torch.zeros(2, 3), torch.ones(2, 3).double(), ValueError, "torch.float64 on cpu"),
        (torch.zeros(2, 3), {"a": torch.ones(2, 3)}, TypeError, "same form"),
        ({"a": torch.zeros(2, 3)}, {"b": torch.ones(2, 3)}, ValueError, r"names \['b'\]"),
        ({"a": torch.zeros(2), "b": torch.zeros(3)}, {}, ValueError, "same number of rows"),
        ({"head": torch.zeros(2, 1)}, {"head": torch.ones(2, 1)}, ValueError, "can not be called"),
        ({"total": torch.zeros(2, 1)}, {"total": torch.ones(2, 1)}, ValueError, "are taken"),
        ({}, {}, ValueError, "empty"),
        (torch.zeros(2, 0), torch.zeros(2, 0), ValueError, "has no entries"),
        (torch.zeros(0, 3), torch.zeros(0, 3), ValueError, "no rows"),
        ({"a": torch.zeros(2, 1).long()}, {"a": torch.ones(2, 1)}, TypeError, "must be floating"),
        (
            {"a": torch.zeros(2, 1), "b": torch.zeros(2, 1).double()},
            {"a": torch.ones(2, 1), "b": torch.ones(2, 1).double()},
            ValueError,
            "need one dtype",
        ),
    ],
)
def test_bad_arguments(mean, variance, error, match):
    with pytest.raises(error, match=match):
        taylor(lambda z: z, mean, variance)


def test_bad_functions():
    z, s2 = torch.zeros(2, 3), torch.ones(2, 3)
    with pytest.raises(TypeError):  # in these tests, by the annotation
        taylor(3, z, s2)
    with pytest.raises(ValueError, match=r"shape \(2, C\); got \(2,\)"):
        taylor(lambda z: z.sum(-1), z, s2)
    with pytest.raises(TypeError, match="must return a Tensor"):
        taylor(lambda z: {"y": z}, z, s2)
    with pytest.raises(ValueError, match="different shapes"):
        taylor(lambda z: (z, z[:, :1]), z, s2)
    with pytest.raises(TypeError, match="must return a Tensor"):
        taylor(lambda z: (z, z, z), z, s2)
    with pytest.raises(ValueError, match=r"got \(2, 0\)"):
        taylor(lambda z: z[:, :0], z, s2)
    with pytest.raises(TypeError, match="needs float32 or float64"):
        taylor(lambda z: z, z.half(), FullCovariance(torch.eye(3).expand(2, 3, 3).half()))


@pytest.mark.parametrize("method", [taylor, sampling, unscented])
def test_a_log_variance_is_no_noise_variance(method):
    z, s2 = torch.zeros(2, 3), torch.ones(2, 3)
    with pytest.raises(ValueError, match=r"negative or NaN \(minimum -3\).*log_variance.exp"):
        method(lambda z: (z, torch.full_like(z, -3.0)), z, s2)


@pytest.mark.parametrize("head", ["input", "interaction", "weights", "total", "joint"])
@pytest.mark.parametrize("method", [taylor, sampling, unscented])
def test_the_noise_needs_a_name_of_its_own(method, head):
    z, s2 = torch.zeros(2, 3), torch.ones(2, 3)
    with pytest.raises(ValueError, match=f"can not be called '{head}'"):
        method(lambda z: (z, z + 1), z, s2, head=head)


def test_tensors_of_inference_mode_can_be_part_of_a_loss():
    with torch.inference_mode():
        z, s2, factor = torch.zeros(2, 3), torch.ones(2, 3), torch.ones(2, 3, 1)
    scale = torch.ones(3, requires_grad=True)
    for spread in (s2, LowRankCovariance(factor, s2)):
        y = taylor(lambda z: (z * scale).sum(1, keepdim=True), z, spread, create_graph=True)
        (gradient,) = torch.autograd.grad(y.variance.sum(), scale)
        assert (gradient > 0).all()


def test_large_values_are_finite_although_their_sum_is_not():
    mean = torch.full((4, 3), 3e38)
    y = taylor(lambda z: 1e-38 * z, mean=mean, variance=torch.ones(4, 3))
    torch.testing.assert_close(y.mean, torch.full((4, 3), 3.0))
