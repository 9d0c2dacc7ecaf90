import pytest
import torch

from sure_pyro.equations import law_of_total_variance
from sure_pyro.propagation.estimates import estimate
from sure_pyro.propagation.power_sums import PowerSums


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def controlled(f, x):
    sums = PowerSums(control_variance=torch.ones(f.shape[1:]).double())
    sums.update(f, x)
    return estimate(sums.f)


X = randn(12, 400, 1)  # 12 draws, 400 repetitions of a control of variance one


def test_a_linear_output_is_known_after_few_draws():
    found = controlled(3 * X + 5, X)
    torch.testing.assert_close(found.variance, torch.full((400, 1), 9.0).double())
    torch.testing.assert_close(found.mean, torch.full((400, 1), 5.0).double())
    torch.testing.assert_close(found.explained, torch.ones(400, 1).double())


def test_a_quadratic_mean_is_known_too():
    # E[x^2] = 1 by the second control; Var[x + x^2] = 3 needs the fourth moment, so is estimated
    found = controlled(X + X.square(), X)
    torch.testing.assert_close(found.mean, torch.ones(400, 1).double())


def test_an_unrelated_control_does_little_harm():
    draws = randn(64, 4000, 1, seed=1)
    found = controlled(draws, randn(64, 4000, 1, seed=2))
    plain = draws.var(0)
    assert float((found.variance - 1).square().mean() / (plain - 1).square().mean()) < 1.1
    assert abs(float(found.variance.mean()) - 1) < 0.02
    assert float(found.explained.mean()) < 0.05


@pytest.mark.parametrize("bend", ["square", "cube"])
def test_the_error_of_a_bent_output_is_not_understated(bend):
    # Residuals are largest where x lies far out. 4000 repetitions tell an rms to some 3 %, for
    # outputs as heavy-tailed as these; without leverages it is short by 21 to 25 %.
    x = randn(64, 4000, 1, seed=4)
    f, exact = {
        "square": (x + 0.3 * x**2, 1 + 2 * 0.3**2),
        "cube": (x + 0.2 * x**3, 1 + 6 * 0.2 + 15 * 0.2**2),
    }[bend]
    found = controlled(f, x)
    actual = (found.variance - exact).square().mean().sqrt()
    stated = found.variance_error.square().mean().sqrt()
    assert float(stated / actual) == pytest.approx(1, abs=0.1)


def test_a_control_that_does_not_vary_is_left_out():
    f = randn(50, 3, 1)
    sums = PowerSums(control_variance=torch.zeros(3, 1).double())
    sums.update(f, torch.zeros_like(f))
    found = estimate(sums.f)
    torch.testing.assert_close(found.mean, f.mean(0))
    torch.testing.assert_close(found.variance, f.var(0), rtol=1e-2, atol=0)  # n - 3 for n - 1


def test_the_variance_is_never_negative():
    found = controlled(X[:4].square() / 100 + randn(4, 400, 1, seed=3), X[:4])
    assert (found.variance > 0).all()


def test_both_terms_of_the_law_of_total_variance_are_those_of_the_draws_themselves():
    f, s2 = randn(50, 3, 1).exp(), randn(50, 3, 1, seed=1).square()
    sums, noise = PowerSums(), PowerSums()
    for chunk in (slice(0, 20), slice(20, 50)):
        sums.update(f[chunk])
        noise.update(s2[chunk])
    found = estimate(sums.f, noise.f)
    between, within = law_of_total_variance(lambda x: x.mean(0), f, s2)
    torch.testing.assert_close(found.variance, between * 50 / 49)
    torch.testing.assert_close(found.noise, within)
    torch.testing.assert_close(found.noise_error, s2.std(0) / 50**0.5)
    assert (estimate(sums.f).noise == 0).all()
