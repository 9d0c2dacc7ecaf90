import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO

from sure_pyro.guides import AmortisedGuide, ReconstructorGuide
from sure_pyro.models import LocScale
from sure_pyro.models.latents import Latents
from sure_pyro.models.program import sample_latents
from tests.models.conftest import make_batch, make_model

SHAPES = {"seen": (1, 1), "gone": (1, 1)}
A, S, B_Z, C_V, T = 0.7, 0.8, 1.5, -0.4, 0.6  # z = A v + S e;  y = B_Z z + C_V v + T e


def linear_gaussian(n=200):
    g = torch.Generator().manual_seed(0)
    v = torch.randn(n, generator=g)
    z = A * v + S * torch.randn(n, generator=g)
    y = B_Z * z + C_V * v + T * torch.randn(n, generator=g)
    values = {"seen": v.reshape(n, 1, 1), "gone": torch.zeros(n, 1, 1)}
    available = {"seen": torch.ones(n, 1).bool(), "gone": torch.zeros(n, 1).bool()}
    prior = {
        "seen": LocScale(torch.zeros(n, 1, 1), torch.ones(n, 1, 1)),
        "gone": LocScale(A * v.reshape(n, 1, 1), torch.full((n, 1, 1), S)),
    }
    return Latents(values, available, target=y), available, prior


def program(latents, visible, reconstruction):
    z = sample_latents(latents, visible, reconstruction)["gone"].reshape(-1)
    loc = B_Z * z + C_V * latents.values["seen"].reshape(-1)
    with pyro.plate("targets", len(latents), dim=-1):
        pyro.sample("y", dist.Normal(loc, T), obs=latents.target)


def test_it_finds_the_posterior_of_a_linear_gaussian_model(double):
    """Precision 1/S^2 + B^2/T^2; the mean is linear in (v, y): 0.1 sd, and 15 % of the sd."""
    latents, visible, prior = linear_gaussian()
    guide = AmortisedGuide(SHAPES, target_size=1, width=0)
    optimizer = torch.optim.Adam(guide.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, 250)
    for _ in range(250):
        loss = Trace_ELBO().differentiable_loss(program, guide, latents, visible, prior)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    precision = 1 / S**2 + B_Z**2 / T**2
    v, y = latents.values["seen"].reshape(-1), latents.target
    mean = (A * v / S**2 + B_Z * (y - C_V * v) / T**2) / precision
    q = guide.posterior(latents, visible, prior)["gone"]
    sd = precision**-0.5
    assert ((q.loc.reshape(-1) - mean).abs() / sd).mean() < 0.1
    torch.testing.assert_close(q.scale, torch.full_like(q.scale, sd), rtol=0.15, atol=0)


def test_it_starts_close_to_the_reconstructor_and_is_never_less_sure():
    latents, visible, prior = linear_gaussian()
    latents = Latents(
        {n: z.float() for n, z in latents.values.items()}, visible, target=latents.target.float()
    )
    q = AmortisedGuide(SHAPES, target_size=1).posterior(latents, visible, prior)["gone"]
    torch.testing.assert_close(q.loc, prior["gone"].loc, rtol=0, atol=0.1)
    assert (q.scale <= prior["gone"].scale).all()


def test_it_draws_the_sites_of_the_reconstructor_guide():
    batch = make_batch()
    model = make_model(batch)
    latents = model.encode(batch)
    r = model.reconstruct(latents, latents.available)
    names = []
    for guide in (ReconstructorGuide(), AmortisedGuide.of(model)):
        trace = poutine.trace(guide).get_trace(latents, latents.available, r)
        names.append([n for n, s in trace.nodes.items() if s["type"] == "sample" and "z_" in n])
    assert names[0] == names[1]


@pytest.mark.parametrize("task", ["classification", "regression", "multilabel"])
def test_it_sees_the_target_as_the_head_does(task):
    batch = make_batch(task=task)
    model = make_model(batch)
    guide = AmortisedGuide.of(model)
    encoded = guide.encode(batch.target)
    assert encoded.shape == (40, model.head.mean.out_features)
    latents = model.encode(batch)
    r = model.reconstruct(latents, latents.available)
    other = Latents(latents.values, latents.available, latents.padding, latents.target.flip(0))
    a = guide.posterior(latents, latents.available, r)["image"].loc
    b = guide.posterior(other, latents.available, r)["image"].loc
    assert not torch.equal(a, b)


def test_a_batch_without_target_is_refused():
    latents, visible, prior = linear_gaussian()
    blind = Latents(latents.values, visible)
    with pytest.raises(ValueError, match="sees the target, and `latents` has none"):
        AmortisedGuide(SHAPES, 1).posterior(blind, visible, prior)
