import pytest
import torch

from sure_pyro.propagation import sampling, taylor

SIGMAS = 4.5


def problem(rows, sd, seed=0):
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    mean = torch.randn(rows, 6, generator=generator, dtype=torch.float64)
    return lambda z: torch.tanh(z @ W / 2), mean, torch.full_like(mean, sd**2)


def test_affine_needs_no_draws():
    _, mean, variance = problem(4, 0.5)
    y = sampling(lambda z: 3 * z + 1, mean, variance, num_samples=8, control="taylor")
    torch.testing.assert_close(y.variance, 9 * variance)
    torch.testing.assert_close(y.mean, 3 * mean + 1)
    assert float(y.errors["total"].max()) < 1e-6
    torch.testing.assert_close(y.explained, torch.ones_like(y.mean))


@pytest.mark.parametrize("sd", [0.1, 0.4, 2.0])
def test_errors_are_smaller_and_right(sd):
    # 300 rows at the same mean are 300 repetitions; the truth is 200 000 plain draws of one.
    fn, mean, variance = problem(1, sd)
    truth = sampling(fn, mean, variance, num_samples=200_000).variance
    mean, variance = mean.expand(300, -1), variance.expand(300, -1)
    plain = sampling(fn, mean, variance, num_samples=64)
    y = sampling(fn, mean, variance, num_samples=64, control="taylor")
    rmse, plain_rmse = ((m.variance - truth).square().mean(0).sqrt() for m in (y, plain))
    assert (rmse < plain_rmse).all()
    stated = y.errors["total"].square().mean(0).sqrt()
    torch.testing.assert_close(stated / rmse, torch.ones_like(rmse), atol=0.25, rtol=0)
    bias = (y.variance.mean(0) - truth[0]).abs()
    assert (bias < SIGMAS * rmse / 300**0.5 + 0.03 * truth[0]).all()  # of the order 1/n


def test_a_wrong_gradient_does_not_bias():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, z):
            return z.sin()

        @staticmethod
        def backward(ctx, gradient):
            return -3 * gradient

    mean, variance = torch.zeros(200, 1).double(), torch.full((200, 1), 0.5).double()
    exact = (1 - torch.exp(torch.tensor(-1.0))) / 2  # Var[sin z] at variance 1/2
    y = sampling(Wrong.apply, mean, variance, num_samples=400, control="taylor")
    error = y.errors["total"].square().sum().sqrt() / 200
    assert abs(float(y.variance.mean() - exact)) < SIGMAS * float(error)
    assert float(taylor(Wrong.apply, mean, variance).variance.mean()) == pytest.approx(4.5)


def test_sources_are_controlled_one_by_one():
    mean = {"a": torch.ones(3, 2).double(), "b": torch.ones(3, 2).double()}
    variance = {name: torch.full_like(z, 0.01) for name, z in mean.items()}
    fn = lambda z: torch.sin(z["a"]) * z["b"]  # noqa: E731
    y = sampling(fn, mean, variance, num_samples=64, control="taylor")
    plain = sampling(fn, mean, variance, num_samples=64)
    for name in ("a", "b", "total"):
        assert float((y.errors[name] / plain.errors[name]).max()) < 0.4
    torch.testing.assert_close(y.sources["b"], 0.01 * torch.sin(mean["a"]).square())


def test_flat_at_the_mean_falls_back_to_plain():
    mean, variance = torch.zeros(5, 1).double(), torch.ones(5, 1).double()
    y = sampling(torch.square, mean, variance, num_samples=5000, control="taylor")
    assert ((y.variance - 2).abs() < SIGMAS * y.errors["total"]).all()
    assert (y.explained == 0).all()


def test_unknown_control():
    with pytest.raises(Exception, match="control"):
        sampling(torch.tanh, torch.zeros(1, 1), torch.ones(1, 1), control="none")
