import pyro
import pyro.distributions as dist
import pytest
import torch

from sure_pyro.objectives import CorrelationELBO, Faithful, FixedScale, preset
from tests.objectives.test_elbo import no_guide


@pytest.fixture
def site(double):
    loc = torch.randn(50, 3, requires_grad=True)
    log_scale = torch.randn(50, 3, requires_grad=True)
    return loc, log_scale, torch.randn(50, 3)


def model(loc, log_scale, y):
    with pyro.plate("rows", len(y)):
        pyro.sample("y", dist.Normal(loc, log_scale.exp()).to_event(1), obs=y)


def gradients(site, handler, weight=0.0):
    elbo = CorrelationELBO(weight)
    with handler:
        loss = elbo.differentiable_loss(model, no_guide, *site)
    return torch.autograd.grad(loss, site[:2], materialize_grads=True)


def test_the_location_feels_its_squared_error_alone(site):
    loc, _, y = site
    towards, _ = gradients(site, Faithful())
    torch.testing.assert_close(towards, (loc - y).detach() / y.numel())


def test_the_scale_feels_what_it_feels_without_the_split(site):
    _, expected = gradients(site, Faithful(), weight=1.0)
    elbo = CorrelationELBO(1.0)
    loss = elbo.differentiable_loss(model, no_guide, *site)
    torch.testing.assert_close(expected, torch.autograd.grad(loss, site[1])[0])


def test_a_correlation_that_does_not_detach_its_error_still_leaves_the_location_alone(site):
    with_it, _ = gradients(site, Faithful(), weight=1.0)
    without, _ = gradients(site, Faithful(), weight=0.0)
    torch.testing.assert_close(with_it, without)


def test_its_value_is_the_score_plus_the_squared_error(site):
    loc, log_scale, y = site
    elbo = CorrelationELBO(0.0)
    with Faithful():
        value = elbo.loss(model, no_guide, *site)
    score = -dist.Normal(loc, log_scale.exp()).log_prob(y)
    torch.testing.assert_close(value, (score + 0.5 * (y - loc).square()).mean().item())


def test_a_score_is_composed_with_it(site):
    """Under a fixed scale nothing but the correlation moves the scale."""
    _, without = gradients(site, Faithful(FixedScale), weight=0.0)
    _, with_it = gradients(site, Faithful(FixedScale), weight=1.0)
    assert torch.equal(without, torch.zeros_like(without))
    assert with_it.abs().max() > 1e-4


def test_other_sites_and_unobserved_ones_are_left_alone():
    def other():
        pyro.sample("free", dist.Normal(0.0, 1.0))
        pyro.sample("class", dist.Categorical(logits=torch.zeros(3)), obs=torch.tensor(1))

    with pyro.poutine.trace() as tracer, Faithful():
        other()
    assert isinstance(tracer.trace.nodes["free"]["fn"], dist.Normal)
    assert isinstance(tracer.trace.nodes["class"]["fn"], dist.Categorical)


def test_evidence_has_no_faithful_form():
    with pytest.raises(ValueError, match="'evidential' has no faithful form"):
        preset("faithful:evidential")[1]()


def test_prefix_of_a_preset():
    elbo, handler = preset("faithful:elbo+pcc", weight=0.5)
    assert elbo.weight == 0.5
    assert isinstance(handler(), Faithful)
    assert preset("faithful:sure")[1]().sees_variance is False
