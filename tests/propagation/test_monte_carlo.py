import pytest
import torch
from torch import nn

from sure_pyro.propagation import FullCovariance, LowRankCovariance, cross_check, sampling, taylor

# Tolerances: 4.5 standard errors, a false alarm in 7e-6 of the comparisons; seeds are fixed.
SIGMAS = 4.5


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def rand(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator, dtype=torch.float64)


W = randn(4, 3)


def agree(value, expected, error):
    assert ((value - expected).abs() <= SIGMAS * error + 1e-12).all()


def test_affine_agrees_with_closed_form_for_every_covariance():
    mean, variance = randn(5, 4), rand(5, 4)
    root, factor = randn(5, 4, 4, seed=1), randn(5, 4, 2, seed=2)
    for spread, dense in [
        (variance, variance.diag_embed()),
        (FullCovariance(root @ root.mT), root @ root.mT),
        (LowRankCovariance(factor, variance), factor @ factor.mT + variance.diag_embed()),
    ]:
        y = sampling(lambda z: z @ W + 1, mean, spread, num_samples=20_000, output_covariance=True)
        exact = W.T @ dense @ W
        agree(y.mean, mean @ W + 1, y.mean_error)
        agree(y.variance, exact.diagonal(dim1=-2, dim2=-1), y.errors["total"])
        size = (exact.diagonal(dim1=-2, dim2=-1)[:, :, None] * y.variance[:, None, :]).sqrt()
        agree(y.covariance, exact, size * (2 / 20_000) ** 0.5)


def test_total_variance_of_a_function_with_noise():
    # y | z ~ (z, z^2 + 1): Var = s2 + E[z^2 + 1] = s2 + mu^2 + s2 + 1
    mean, variance = randn(3, 1), rand(3, 1)
    y = sampling(lambda z: (z, z.square() + 1), mean, variance, num_samples=20_000)
    agree(y.sources["input"], variance, y.errors["input"])
    agree(y.sources["head"], mean.square() + variance + 1, y.errors["head"])
    agree(y.variance, 2 * variance + mean.square() + 1, y.errors["total"])


def test_where_nothing_is_uncertain_the_methods_agree_exactly():
    def fn(inputs):
        return inputs["z"], inputs["z"].square() + 1

    mean = {"z": randn(3, 1)}
    y, expected = sampling(fn, mean, {}, num_samples=50), taylor(fn, mean, {})
    assert torch.equal(y.sources["head"], mean["z"].square() + 1)
    assert y.errors.keys() == {"head", "total"}
    check = cross_check(expected, y)
    assert check.agrees
    assert (check.to_dataframe()["ratio"] == 1).all()


def test_standard_errors_are_right():
    # 400 rows are 400 repetitions of one estimate; exp(z) has kurtosis far from a Gaussian's.
    s2 = 0.2
    mean, variance = torch.zeros(400, 1).double(), torch.full((400, 1), s2).double()
    y = sampling(torch.exp, mean, variance, num_samples=2000)
    spread = y.variance.std()
    # the sd of 400 estimates has a relative standard error of about 1/sqrt(800) = 4 %
    assert float(y.errors["total"].square().mean().sqrt() / spread) == pytest.approx(1, abs=0.16)
    assert float(y.mean_error.square().mean().sqrt() / y.mean.std()) == pytest.approx(1, abs=0.16)


def test_moments_are_stable_far_from_zero():
    mean, variance = torch.zeros(2, 1).double(), torch.full((2, 1), 1e-6).double()
    y = sampling(lambda z: z + 1e6, mean, variance, num_samples=5000)
    near = sampling(lambda z: z, mean, variance, num_samples=5000)
    torch.testing.assert_close(y.variance, near.variance, rtol=1e-4, atol=0)


def test_the_seed_decides_and_the_global_generator_is_left_alone():
    mean, variance = randn(3, 4), rand(3, 4)
    state = torch.get_rng_state()
    first, again = (sampling(torch.tanh, mean, variance, num_samples=50, seed=7) for _ in range(2))
    other = sampling(torch.tanh, mean, variance, num_samples=50, seed=8)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.variance, again.variance)
    assert not torch.equal(first.variance, other.variance)
    generator = torch.Generator().manual_seed(7)
    by_generator = sampling(torch.tanh, mean, variance, num_samples=50, seed=generator)
    assert torch.equal(first.variance, by_generator.variance)


def test_chunks_bound_the_rows_per_call():
    seen = []

    def fn(z):
        seen.append(len(z))
        return torch.tanh(z)

    y = sampling(fn, randn(8, 4), rand(8, 4), num_samples=50, max_rows=100, check_rows=False)
    assert seen == [96, 96, 96, 96, 16]
    assert y.num_samples == 50


def test_sequences_masks_and_modes():
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))

    def fn(z):
        assert z["mask"].dtype == torch.bool
        return net(z["tokens"] * z["mask"][..., None])

    mean = {"tokens": randn(5, 3, 4).float(), "mask": torch.rand(5, 3) > 0.3}
    variance = {"tokens": rand(5, 3, 4).float()}
    exact = taylor(fn, mean, variance)
    y = sampling(fn, mean, variance, num_samples=5000)
    agree(y.variance, exact.variance, y.errors["total"] + 1e-5)
    with torch.inference_mode():
        same = sampling(fn, mean, variance, num_samples=5000)
    assert torch.equal(same.variance, y.variance)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = sampling(fn, mean, variance, num_samples=5000)
    torch.testing.assert_close(rough.variance, y.variance, rtol=0.1, atol=0.01)
    assert rough.variance.dtype == torch.float32


def test_gradient_flows_when_asked():
    mean, variance = randn(2, 3), rand(2, 3)
    variance[0, 0] = 0  # the root of zero may not make NaN
    variance.requires_grad_()

    def total(variance):
        return sampling(torch.tanh, mean, variance, num_samples=8, create_graph=True).variance

    (gradient,) = torch.autograd.grad(total(variance).sum(), variance)
    assert gradient.isfinite().all()
    step = 1e-6 * torch.ones_like(variance).masked_fill(variance == 0, 0)
    difference = (total(variance + step) - total(variance - step)).sum() / 2e-6
    torch.testing.assert_close(gradient[variance > 0].sum(), difference, rtol=1e-5, atol=0)


def test_errors():
    z, s2 = torch.zeros(2, 3), torch.ones(2, 3)
    with pytest.raises(ValueError, match="at least 2"):
        sampling(torch.tanh, z, s2, num_samples=1)
    with pytest.raises(ValueError, match=r"draws of `fn` is not finite in rows \[0, 1\]"):
        sampling(lambda z: 1 / (z < 1).float(), z, s2, num_samples=99)
    with pytest.raises(ValueError, match="mixes its rows"):
        sampling(lambda z: z - z.mean(0), z + torch.tensor([[1.0], [2.0]]), s2)
    with pytest.raises(ValueError, match="are taken"):
        sampling(lambda z: z["joint"], {"joint": z}, {"joint": s2})
