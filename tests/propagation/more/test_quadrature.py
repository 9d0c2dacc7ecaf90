import torch

from sure_pyro.propagation.more.quadrature import gauss_hermite, gaussian_moments


def test_exact_on_polynomials():
    nodes, weights = gauss_hermite(6, torch.empty(0, dtype=torch.float64))
    moments = [float((weights * nodes**k).sum()) for k in range(12)]
    expected = [1, 0, 1, 0, 3, 0, 15, 0, 105, 0, 945, 0]  # of a standard Gaussian
    torch.testing.assert_close(
        torch.tensor(moments), torch.tensor(expected).float(), atol=1e-4, rtol=1e-5
    )


def test_moments_of_an_exponential():
    mean, variance = torch.tensor([0.3, -1.0]).double(), torch.tensor([0.5, 0.0]).double()
    y_mean, y_variance = gaussian_moments(torch.exp, mean, variance)
    exact = torch.exp(mean + variance / 2)
    torch.testing.assert_close(y_mean, exact)
    torch.testing.assert_close(y_variance, exact.square() * torch.expm1(variance))
