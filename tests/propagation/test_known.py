"""What a function takes beside the latents: rows go together, and it is known exactly."""

from typing import NamedTuple

import pytest
import torch

from sure_pyro.propagation import sampling, taylor
from sure_pyro.propagation.more import second_order, unscented

B, D, C = 7, 3, 2


class Beside(NamedTuple):
    slope: dict[str, torch.Tensor]
    member: torch.Tensor | None


def problem():
    """Slopes of their own in every row; two rows in which nothing is uncertain."""
    g = torch.Generator().manual_seed(0)
    mean, slope = torch.randn(B, D, generator=g), torch.randn(B, C, D, generator=g)
    variance = torch.rand(B, D, generator=g)
    variance[[1, 4]] = 0.0
    return {"z": mean}, {"z": variance}, Beside({"w": slope}, torch.arange(B) % 2)


def linear(latents, known):
    sign = 1.0 - 2.0 * known.member
    return sign[:, None] * torch.einsum("bcd,bd->bc", known.slope["w"], latents["z"])


@pytest.mark.parametrize("method", [taylor, second_order, unscented])
def test_every_row_meets_its_own(method):
    mean, variance, known = problem()
    y = method(linear, mean, variance, known=known)
    expected = torch.einsum("bcd,bd->bc", known.slope["w"].square(), variance["z"])
    torch.testing.assert_close(y.mean, linear(mean, known))
    torch.testing.assert_close(y.variance, expected)


def test_draws_meet_the_row_that_they_are_of():
    """Standard errors of a linear function of normal draws: false alarms below 1e-5 an output."""
    mean, variance, known = problem()
    y = sampling(linear, mean, variance, known=known, num_samples=4000, seed=0)
    exact = taylor(linear, mean, variance, known=known).variance
    assert ((y.variance - exact).abs() <= 5 * y.errors["total"] + 1e-12).all()


def test_a_tensor_alone_and_none():
    mean, variance, known = problem()
    y = taylor(lambda z, shift: z["z"] + shift, mean, variance, known=mean["z"])
    torch.testing.assert_close(y.mean, 2 * mean["z"])
    alone = taylor(lambda z: z["z"], mean, variance, known=None)
    torch.testing.assert_close(alone.variance, variance["z"])
    left_out = known._replace(member=None)
    y = taylor(lambda z, k: z["z"] + k.slope["w"][:, 0], mean, variance, known=left_out)
    torch.testing.assert_close(y.variance, variance["z"])


def test_what_has_other_rows_or_is_no_tensor_is_refused():
    mean, variance, _ = problem()
    with pytest.raises(ValueError, match=r"`known` needs the 7 rows.*got the shape \(3, 2\)"):
        taylor(linear, mean, variance, known={"mask": torch.ones(3, 2)})
    with pytest.raises(TypeError, match="`known` must hold Tensors.*got list"):
        taylor(linear, mean, variance, known={"mask": [1, 2]})


def test_the_mean_of_a_function_of_the_output_over_the_draws():
    """E[y^2] = mean^2 + variance, exactly in the moments of the draws themselves."""
    mean, variance, known = problem()

    def square(y, noise):
        assert noise is None
        return torch.cat([y.square(), y], -1)  # K need not be C

    y = sampling(linear, mean, variance, known=known, num_samples=300, seed=0, expect=square)
    assert y.expected.shape == (B, 2 * C)
    torch.testing.assert_close(y.expected[:, C:], y.mean)
    biased = y.variance * (1 - 1 / 300)
    torch.testing.assert_close(y.expected[:, :C], y.mean.square() + biased, rtol=1e-4, atol=1e-6)
    certain = linear(mean, known)[[1, 4]]
    torch.testing.assert_close(y.expected[[1, 4]], square(certain, None))
    assert y[2:5].expected.shape == (3, 2 * C)
    assert taylor(linear, mean, variance, known=known).expected is None
