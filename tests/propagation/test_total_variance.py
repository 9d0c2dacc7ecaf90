import pytest
import torch

from sure_pyro.propagation import Moments, mixture, sampling, taylor


def moments(mean, **sources):
    return Moments(torch.as_tensor(mean), {k: torch.as_tensor(v) for k, v in sources.items()})


def test_law_of_total_variance_by_hand(double):
    a = moments([[1.0]], z=[[2.0]], head=[[0.5]])
    b = moments([[3.0]], z=[[4.0]], head=[[0.7]])
    both = mixture([a, b])
    assert both.mean.item() == 2
    assert {k: v.item() for k, v in both.sources.items()} == pytest.approx(
        {"z": 3, "head": 0.6, "weights": 2}  # the unbiased variance of (1, 3)
    )
    assert both.variance.item() == pytest.approx(5.6)
    assert both.rows_share_draws


def test_linear_function_with_random_weights_is_the_closed_form(double):
    """y = w z: E = m mu, Var = m^2 s2 + v s2 + v mu^2; 5 standard errors of 250 draws."""
    m, v = torch.tensor([1.0, -0.5]), torch.tensor([0.3, 0.2])
    z, s2 = torch.tensor([[2.0, 1.0]]), torch.tensor([[0.4, 0.1]])
    w = m + v.sqrt() * torch.randn(250, 2, generator=torch.Generator().manual_seed(0))
    draws = [taylor(lambda z, w=w_s: (z @ w)[:, None], z, s2) for w_s in w]
    result = mixture(draws)
    weights = (v * z.square()).sum()
    assert abs(result.sources["weights"].item() - weights) < 5 * weights * (2 / 250) ** 0.5
    within = ((m.square() + v) * s2).sum()
    assert abs(result.sources["input"] - within) < 5 * result.errors["input"]
    assert result.errors["weights"].item() == pytest.approx(
        weights.item() * (2 / 250) ** 0.5, rel=0.4
    )


def test_noise_of_the_single_means_is_not_taken_for_the_weights(double):
    """The same function in every draw: what differs is Monte Carlo error alone.

    Uncorrected, the source would be 1/4 of the variance. It is 0 with a standard error of
    0.25 sqrt(2 / 99) = 0.036 per row, so clamped at zero 0.4 of that on average: 0.014.
    """
    z, s2 = torch.zeros(200, 1), torch.ones(200, 1)
    draws = [sampling(lambda z: z, z, s2, num_samples=4, seed=s) for s in range(100)]
    uncorrected = torch.stack([d.mean for d in draws]).var(0)
    assert uncorrected.mean() > 0.2
    weights = mixture(draws).sources["weights"].mean()
    assert weights < 0.04  # clamped at zero, so a little above


def test_one_draw_has_no_variance_between_draws():
    one = mixture([moments([[1.0]], head=[[0.5]])])
    assert one.sources["weights"].item() == 0
    assert one.errors["total"].item() == 0


def test_covariances_follow_the_same_law(double):
    W = torch.randn(50, 3, 2)
    z, s2 = torch.randn(4, 3), torch.rand(4, 3)
    draws = [taylor(lambda z, w=w: z @ w, z, s2, output_covariance=True) for w in W]
    result = mixture(draws)
    torch.testing.assert_close(result.covariance.diagonal(dim1=-2, dim2=-1), result.variance)
    means = torch.stack([d.mean for d in draws])[:, 0]
    torch.testing.assert_close(result.covariances["weights"][0], torch.cov(means.T))


def test_wrong_draws_are_refused():
    with pytest.raises(ValueError, match="`draws` is empty"):
        mixture([])
    with pytest.raises(ValueError, match=r"same sources; got \['z'\] and \['head'\]"):
        mixture([moments([[1.0]], z=[[1.0]]), moments([[1.0]], head=[[1.0]])])
