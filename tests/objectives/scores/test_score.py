import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from sure_pyro.objectives import (
    CRPS,
    BetaNLL,
    CorrelationELBO,
    FixedScale,
    LaplaceNLL,
    Pinball,
    Score,
    StudentTNLL,
    pearson,
)

SCORES = [FixedScale, BetaNLL, StudentTNLL, LaplaceNLL, CRPS, Pinball]
every_score = pytest.mark.parametrize("handler", SCORES)


def no_guide():
    pass


def log_prob(handler, program, name="y"):
    with handler():
        trace = poutine.trace(program).get_trace()
    trace.compute_log_prob()
    return trace.nodes[name]["log_prob"]


def entry_by_entry(handler, site):
    """Minus the score of each entry, without plates, masks or events."""
    fn = handler().rescored(dist.Normal(site.loc, site.scale))
    return fn.log_prob(site.y)


@every_score
def test_plates_masks_scales_and_events_stay_those_of_the_site(handler, site, model):
    expected = 2.0 * entry_by_entry(handler, site).sum(-1) * site.mask
    torch.testing.assert_close(log_prob(handler, model), expected)


@every_score
def test_loss_is_per_observed_number_beside_the_correlation_of_the_site_itself(
    handler, site, model
):
    elbo = CorrelationELBO(weight=0.7)
    with handler():
        loss = elbo.differentiable_loss(model, no_guide)
    counts = site.mask.unsqueeze(-1).expand(6, 3, 2)
    rows = site.mask.sum(-1)
    u = (site.scale.square().mean(-1) * site.mask).sum(-1) / rows.clamp(min=1)
    e = ((site.y - site.loc).square().mean(-1) * site.mask).sum(-1) / rows.clamp(min=1)
    rho = pearson(u, e.detach(), rows > 0)
    expected = -entry_by_entry(handler, site)[counts].mean() + 0.7 * (1 - rho)
    torch.testing.assert_close(loss, expected)
    gradients = torch.autograd.grad(loss, (site.loc, site.scale))
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, (site.loc, site.scale)))


@every_score
def test_vectorised_particles_change_nothing_where_nothing_is_drawn(handler, model):
    with handler():
        expected = CorrelationELBO(weight=0.7).differentiable_loss(model, no_guide)
        elbo = CorrelationELBO(
            weight=0.7, num_particles=3, vectorize_particles=True, max_plate_nesting=2
        )
        torch.testing.assert_close(elbo.differentiable_loss(model, no_guide), expected)


@every_score
def test_inside_of_plates_it_is_expanded_by_them(handler):
    def program():
        with pyro.plate("rows", 4), handler():
            pyro.sample("y", dist.Normal(0.0, 1.0), obs=torch.ones(4))

    assert log_prob(poutine.block, program).shape == (4,)


@every_score
def test_partly_observed_site_is_drawn_from_its_own_distribution(handler, site):
    seen = site.mask[:, 0]

    def program(guided=False):
        with pyro.plate("rows", 6):
            fn = dist.Normal(site.loc[:, 0, 0], site.scale[:, 0, 0])
            pyro.sample("y", fn, obs=site.y[:, 0, 0], obs_mask=seen)

    with handler():
        trace = poutine.trace(program).get_trace()
    assert isinstance(trace.nodes["y_unobserved"]["fn"], dist.Normal)
    trace.compute_log_prob()
    expected = entry_by_entry(handler, site)[:, 0, 0] * seen
    torch.testing.assert_close(trace.nodes["y_observed"]["log_prob"], expected)


@every_score
def test_subsampled_plate_scales_it(handler):
    y = torch.linspace(-1, 1, 8)

    def program():
        with pyro.plate("rows", 8, subsample=torch.arange(2)) as rows:
            pyro.sample("y", dist.Normal(0.0, torch.ones(2)), obs=y[rows])

    fn = handler().rescored(dist.Normal(torch.zeros(2), torch.ones(2)))
    torch.testing.assert_close(log_prob(handler, program), 4 * fn.log_prob(y[:2]))


@every_score
def test_a_masked_distribution_keeps_its_mask(handler):
    y, mask = torch.tensor([1.0, float("nan")]), torch.tensor([True, False])

    def program():
        with pyro.plate("rows", 2):
            pyro.sample("y", dist.Normal(0.0, torch.ones(2)).mask(mask), obs=y)

    with pyro.validation_enabled(False):
        assert log_prob(handler, program)[1] == 0


@every_score
def test_other_distributions_are_left_alone(handler):
    def program():
        with pyro.plate("rows", 3):
            pyro.sample("y", dist.Poisson(torch.ones(3)), obs=torch.ones(3))

    torch.testing.assert_close(log_prob(handler, program), -torch.ones(3))


@every_score
def test_gradient_agrees_with_finite_differences(handler):
    loc = torch.tensor([0.0, 1.0, -3.0], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([0.5, 2.0, 0.1], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([0.4, -2.0, 1.0], dtype=torch.float64)
    if handler is BetaNLL:
        pytest.skip("its gradient is that of no function: see test_gaussian")

    def score(loc, scale):
        return handler().rescored(dist.Normal(loc, scale)).log_prob(y)

    assert torch.autograd.gradcheck(score, (loc, scale))


@every_score
@pytest.mark.parametrize("observed", [False, True])
def test_one_row_and_a_batch_without_an_observation_are_finite(handler, observed):
    loc, scale = (x.requires_grad_() for x in (torch.zeros(1), torch.ones(1)))

    def program():
        with pyro.plate("rows", 1), poutine.mask(mask=torch.tensor([observed])):
            pyro.sample("y", dist.Normal(loc, scale), obs=torch.tensor([2.0]))

    with handler():
        loss = CorrelationELBO(weight=1.0).differentiable_loss(program, no_guide)
    assert loss.isfinite()
    gradients = torch.autograd.grad(loss, (loc, scale), allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)
    assert observed or not any(g.any() for g in gradients if g is not None)


@every_score
def test_single_precision_far_out_stays_finite(handler):
    loc = torch.zeros(2, requires_grad=True)
    scale = torch.tensor([1e-3, 150.0], requires_grad=True)
    value = handler().rescored(dist.Normal(loc, scale)).log_prob(torch.tensor([50.0, 1e-3]))
    assert value.isfinite().all()
    gradients = torch.autograd.grad(value.sum(), (loc, scale), allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)


def test_a_score_within_a_score_keeps_the_pair_of_the_site(site, model):
    with FixedScale(), CRPS():
        trace = poutine.trace(model).get_trace()
    torch.testing.assert_close(trace.nodes["y"]["infer"]["pair_from"].variance, site.scale**2)


def test_the_base_asks_for_a_rule():
    with pytest.raises(NotImplementedError):
        Score().rescored(dist.Normal(0.0, 1.0))


@pytest.mark.parametrize("handler", [CRPS, Pinball, BetaNLL])
def test_moments_and_draws_are_those_of_the_distribution(handler):
    fn = handler().rescored(dist.Normal(torch.tensor([1.0, 2.0]), 0.5))
    assert torch.equal(fn.mean, torch.tensor([1.0, 2.0]))
    assert torch.equal(fn.variance, torch.tensor([0.25, 0.25]))
    assert fn.sample((5,)).shape == (5, 2)
    assert fn.expand((3, 2)).log_prob(torch.zeros(3, 2)).shape == (3, 2)
