import pyro.distributions as dist
import pytest
import torch

from sure_pyro.objectives import BetaNLL, FixedScale, Unchanged

pytestmark = pytest.mark.usefixtures("double")


@pytest.fixture
def numbers():
    loc, y = torch.randn(2, 20)
    return loc.requires_grad_(), (0.2 + torch.rand(20)).requires_grad_(), y


def gradients(score, loc, scale):
    return torch.autograd.grad(score.sum(), (loc, scale))


def seitzers(loc, scale, y, beta):
    """The loss as the paper writes it."""
    variance = scale.square()
    loss = 0.5 * ((y - loc).square() / variance + variance.log())
    return loss * variance.detach() ** beta


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.5, 1.0])
def test_gradient_is_that_of_the_papers_loss(numbers, beta):
    loc, scale, y = numbers
    ours = -BetaNLL(beta).rescored(dist.Normal(loc, scale)).log_prob(y)
    expected = gradients(seitzers(loc, scale, y, beta), loc, scale)
    torch.testing.assert_close(gradients(ours, loc, scale), expected)


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_gradient_agrees_with_finite_differences_at_frozen_weights(numbers, beta):
    loc, scale, y = numbers
    ours = -BetaNLL(beta).rescored(dist.Normal(loc, scale)).log_prob(y)
    weight = scale.detach() ** (2 * beta)

    def frozen(loc, scale):
        return -(weight * dist.Normal(loc, scale).log_prob(y)).sum()

    step = 1e-6
    for x, gradient in zip((loc, scale), gradients(ours, loc, scale), strict=True):
        up, down = (
            frozen(*(t + s * step * (t is x) * torch.eye(20)[3] for t in (loc, scale)))
            for s in (1, -1)
        )
        assert gradient[3].item() == pytest.approx(((up - down) / (2 * step)).item(), rel=1e-6)


def test_value_is_the_likelihoods_so_that_epochs_can_be_compared(numbers):
    loc, scale, y = numbers
    fn = dist.Normal(loc, scale)
    torch.testing.assert_close(BetaNLL(0.7).rescored(fn).log_prob(y), fn.log_prob(y))


def test_beta_one_trains_the_location_as_squared_error_does(numbers):
    loc, scale, y = numbers
    (expected,) = torch.autograd.grad(0.5 * (y - loc).square().sum(), loc)
    ours = -BetaNLL(1.0).rescored(dist.Normal(loc, scale)).log_prob(y)
    torch.testing.assert_close(gradients(ours, loc, scale)[0], expected)


def test_fixed_scale_is_squared_error_and_blind_to_the_variance(numbers):
    loc, scale, y = numbers
    score = -FixedScale(2.0).rescored(dist.Normal(loc, scale)).log_prob(y)
    torch.testing.assert_close(score - score[0], ((y - loc) ** 2 - (y[0] - loc[0]) ** 2) / 8)
    assert torch.autograd.grad(score.sum(), scale, allow_unused=True) == (None,)


def test_what_sees_the_variance():
    assert BetaNLL.sees_variance
    assert Unchanged.sees_variance
    assert not FixedScale.sees_variance


def test_bad_beta():
    with pytest.raises(ValueError, match=r"`beta` must be in \[0, 1\]; got 1.5"):
        BetaNLL(1.5)
