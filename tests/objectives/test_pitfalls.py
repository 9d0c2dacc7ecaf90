"""Known traps of a correlation of uncertainty and error, each as a number, and what guards us.

Tolerances of simulations are five standard errors at the stated number of draws and more (a false
alarm in less than one in 10^6 runs); the seed is fixed.
"""

import itertools
import math

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

import sure_pyro as sp
from sure_pyro.objectives import CorrelationELBO, pearson

pytestmark = pytest.mark.usefixtures("double")


def no_guide(*args):
    pass


def calibrated(n):
    """Variances ~ U(0.1, 1), and the squared errors of Gaussians that have them."""
    variance = 0.1 + 0.9 * torch.rand(n)
    return variance, variance * torch.randn(n).square()


def program(loc, scale, y):
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(loc, scale), obs=y)


def test_correlation_sees_neither_scale_nor_offset_and_the_likelihood_beside_it_does():
    variance, _ = calibrated(2000)
    y = variance.sqrt() * torch.randn(2000)
    losses = {}
    for factor, offset in [(1.0, 0.0), (100.0, 0.0), (1.0, 5.0)]:
        elbo = CorrelationELBO(weight=1.0)
        scale = (factor * variance + offset).sqrt()
        loss = elbo.differentiable_loss(program, no_guide, torch.zeros(2000), scale, y)
        losses[factor, offset] = (elbo.terms["rho/y"].item(), float(loss))
    rho, loss = losses.pop((1.0, 0.0))
    for other_rho, other_loss in losses.values():
        assert other_rho == pytest.approx(rho, abs=1e-9)
        assert other_loss > loss + 0.3


def test_rho_one_is_not_the_target_right_variances_reach_029():
    """Closed form: Var(s2) = 0.0675 and Var(e) = 3 E[s2^2] - E[s2]^2 = 0.8075."""
    attainable = math.sqrt(0.0675 / 0.8075)
    assert attainable == pytest.approx(0.289, abs=1e-3)
    assert pearson(*calibrated(400_000)).item() == pytest.approx(attainable, abs=0.01)


def test_simpsons_paradox_pooled_over_masks_where_nothing_correlates_within_them():
    level = torch.tensor([1.0, 10.0]).repeat_interleave(5000)  # an easy and a hard mask
    u, e = level * (1 + 0.2 * torch.rand(10_000)), level * (1 + 0.2 * torch.rand(10_000))
    within = [pearson(u, e, level == value) for value in (1.0, 10.0)]
    assert pearson(u, e) > 0.95
    assert max(abs(rho) for rho in within) < 5 / math.sqrt(5000)


@pytest.mark.parametrize(("B", "sd"), [(4, 0.58), (8, 0.38), (32, 0.18), (256, 0.06)])
def test_small_batches_are_noise_and_the_size_of_it_is_known(B, sd):
    rho = torch.vmap(pearson)(torch.randn(1000, B), torch.randn(1000, B))
    assert rho.std().item() == pytest.approx((B - 1) ** -0.5, rel=0.13)
    assert rho.std().item() == pytest.approx(sd, rel=0.15)


def test_two_rows_are_always_plus_or_minus_one():
    rho = torch.vmap(pearson)(torch.randn(200, 2), torch.randn(200, 2))
    torch.testing.assert_close(rho.abs(), torch.ones(200))


@pytest.mark.parametrize("constant", ["uncertainty", "error"])
def test_constant_inputs_give_no_gradient_rather_than_a_huge_one(constant):
    scale = torch.full((32,), 0.7) if constant == "uncertainty" else torch.rand(32) + 0.1
    y = torch.full((32,), 1.3) if constant == "error" else torch.randn(32)
    scale.requires_grad_()
    elbo = CorrelationELBO(weight=1.0)
    loss = elbo.differentiable_loss(program, no_guide, torch.zeros(32), scale, y)
    (gradient,) = torch.autograd.grad(loss, scale)
    (of_likelihood,) = torch.autograd.grad(-dist.Normal(0.0, scale).log_prob(y).mean(), scale)
    assert elbo.terms["rho/y"] == 0
    torch.testing.assert_close(gradient, of_likelihood)


def test_gaming_without_detaching_nearly_half_the_rows_gain_by_a_larger_error():
    variance, _ = calibrated(4000)
    error = variance.sqrt() * torch.randn(4000).abs()
    share = {}
    for detach in (True, False):
        e = error.clone().requires_grad_()
        elbo = CorrelationELBO(weight=1.0, detach_error=detach)
        loss = elbo.differentiable_loss(program, no_guide, torch.zeros(4000), variance.sqrt(), e)
        (gradient,) = torch.autograd.grad(loss, e)
        of_likelihood = e.detach() / variance / 4000
        share[detach] = (gradient - of_likelihood < -1e-12).double().mean().item()
    assert share[True] == 0
    assert 0.35 < share[False] < 0.55


def test_it_fights_the_likelihood_late_where_the_variances_are_right_already():
    truth, e2 = calibrated(64)
    log_variance = truth.log().requires_grad_()
    (direction,) = torch.autograd.grad(1 - pearson(log_variance.exp(), e2), log_variance)
    assert direction.norm() > 0.01  # the likelihood expects zero here: it is at its optimum

    def expected_nll(lv):
        return (lv + truth / lv.exp()).mean() / 2

    step = log_variance.detach() - 0.5 * direction / direction.norm()
    assert expected_nll(step) > expected_nll(truth.log())


def test_so_both_are_tracked_and_the_best_epoch_is_that_of_the_likelihood():
    train, validation, _ = sp.synthetic(80, seed=0)[0].split(seed=0)
    model = sp.SURE(sp.MLPBackbone.for_data(train, seed=0))
    h = sp.fit(model, train, validation, "elbo+pcc", weight=5.0, epochs=6, progress_bar=False)
    rows = [r for r in h.records if r["phase"] == "reconstruction"]
    assert all({f"validation/rho/z_{m}" for m in train.modalities} <= set(r) for r in rows)
    likelihood = [r["validation/elbo"] for r in rows]
    assert h.best["reconstruction"] == max(range(6), key=likelihood.__getitem__)


def test_mean_of_the_processes_correlations_is_not_the_global_one():
    """Eight processes whose rows differ in level; what guards us is in `test_distributed`."""
    level = torch.arange(1.0, 9.0).unsqueeze(-1)
    u = level + 0.5 * torch.rand(8, 256)
    e = u + 0.3 * torch.randn(8, 256)
    local = torch.vmap(pearson)(u, e).mean()
    assert pearson(u.flatten(), e.flatten()) > 0.98
    assert local < 0.6


def test_ambiguous_definitions_are_arguments_because_each_gives_another_number():
    scale, y = torch.rand(40, 5) + 0.1, torch.randn(40, 5)

    def model():
        with pyro.plate("rows", 40):
            pyro.sample("y", dist.Normal(0.0, scale).to_event(1), obs=y * scale)

    found = []
    options = [("variance", "sd"), ("squared", "absolute"), ("row", "entry", "dimension")]
    for uncertainty, error, per in itertools.product(*options):
        elbo = CorrelationELBO(1.0, uncertainty=uncertainty, error=error, per=per)
        elbo.differentiable_loss(model, no_guide)
        found.append(elbo.terms["rho/y"].item())
    assert len({round(rho, 4) for rho in found}) == 12
    elbo = CorrelationELBO(1.0)
    elbo.differentiable_loss(model, no_guide)
    assert elbo.terms["rho/y"].item() == found[0]  # variance, squared error, per row


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_correlation_is_computed_in_single(dtype):
    """Variances of 1e-4: their squares are below the smallest number of float16."""
    scale = (1e-2 * (1 + torch.rand(500))).to(dtype)
    y = (scale.float() * torch.randn(500)).to(dtype)

    def model():
        with pyro.plate("rows", 500), poutine.mask(mask=torch.tensor(True)):
            fn = dist.Normal(torch.zeros(500, dtype=dtype), scale, validate_args=False)
            pyro.sample("y", fn, obs=y)

    elbo = CorrelationELBO(weight=1.0)
    elbo.differentiable_loss(model, no_guide)
    expected = pearson(scale.double().square(), y.double().square())
    assert elbo.terms["rho/y"].dtype == torch.float32
    assert elbo.terms["rho/y"].item() == pytest.approx(expected.item(), abs=0.03)
