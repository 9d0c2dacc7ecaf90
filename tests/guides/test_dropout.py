import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from torch import nn

from sure_pyro.guides import DropoutGuide, WeightProgram, fit_weights
from sure_pyro.guides.dropout import own_rates
from tests.guides.conftest import make_conjugate


def site(net, x, y):
    with pyro.plate("rows", len(x)):
        pyro.sample("y", dist.Normal(net(x).squeeze(-1), 0.5), obs=y)


def kept(net, guide, x=None, y=None):
    """A guide that took the weights as they are."""
    program = WeightProgram(net, site, 10)
    guide.keep(program, guide.approximation(program, (x, y)))
    return guide


def test_a_draw_is_dropout_with_one_mask_for_all_rows(double):
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(4, 50), nn.Tanh(), nn.Dropout(0.3), nn.Linear(50, 1))
    w = kept(net, DropoutGuide()).sample(3)["3.weight"]
    ratio = w / net[3].weight
    off = ratio == 0
    torch.testing.assert_close(ratio[~off], torch.full_like(ratio[~off], 1 / 0.7))
    assert 0 < off.sum() < 50
    assert torch.equal(kept(net, DropoutGuide()).sample(3)["3.weight"], w)


def test_moments_over_draws_are_those_of_dropout(double):
    """E[W] = M, Var[W] = M^2 p / (1 - p); 5 standard errors of 3000 draws."""
    net = nn.Sequential(nn.Dropout(0.2), nn.Linear(3, 2))
    guide = kept(net, DropoutGuide())
    draws = torch.stack([w["1.weight"] for w in guide.draws(3000, seed=0)])
    M = net[1].weight.detach()
    variance = M.square() * 0.2 / 0.8
    assert ((draws.mean(0) - M).abs() < 5 * (variance / 3000).sqrt()).all()
    torch.testing.assert_close(draws.var(0), variance, rtol=0.15, atol=0)


def test_own_rates_are_those_of_the_layers_behind_a_dropout():
    net = nn.Sequential(
        nn.Linear(2, 4), nn.GELU(), nn.Dropout(0.1),
        nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Dropout(0.4), nn.Linear(4, 4)),
        nn.Linear(4, 1),
    )  # fmt: skip
    rates = own_rates(WeightProgram(net, site, 10))
    assert {n: rate for n, (rate, _) in rates.items()} == {
        "3.0.weight": 0.1,
        "3.3.weight": 0.4,
    }
    assert not DropoutGuide().needs_training(WeightProgram(net, site, 10))


def test_layers_side_by_side_share_their_mask():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean, self.raw = nn.Linear(20, 1), nn.Linear(20, 1)

    net = Two()
    w = kept(net, DropoutGuide(rate=0.5)).sample(0)
    assert torch.equal(w["mean.weight"] == 0, w["raw.weight"] == 0)
    chain = nn.Sequential(nn.Linear(20, 20), nn.Linear(20, 1))
    w = kept(chain, DropoutGuide(rate=0.5)).sample(0)
    assert not torch.equal(w["0.weight"][0] == 0, w["1.weight"][0] == 0)


def test_its_spread_does_not_shrink_as_the_data_grow(double):
    """Why it can not recover the posterior, whose variance falls by the factor 16 here."""
    spreads, exact = [], []
    for N in (40, 640):
        problem = make_conjugate(N=N)
        guide = fit_weights(
            DropoutGuide(rate=0.2), problem.program(), (problem.x, problem.y), Trace_ELBO(),
            steps=80, lr=0.05,
        )  # fmt: skip
        draws = torch.stack([w["weight"][0] for w in guide.draws(200, seed=0)])
        spreads.append(draws.var(0).sum().item())
        exact.append(problem.covariance.diagonal().sum().item())
    assert exact[0] / exact[1] > 10
    assert spreads[0] / spreads[1] < 2


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="`rate` must be between 0 and 1; got 1"):
        DropoutGuide(rate=1.0)
    with pytest.raises(ValueError, match="'weights' has no linear layer"):
        kept(nn.LayerNorm(3), DropoutGuide())
