import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro import poutine

from sure_pyro.objectives import PositiveWeights

W = torch.tensor([1.0, 4.0, 10.0])
LOGITS = torch.tensor([[0.3, -2.0, 1.0], [0.0, 5.0, -1.0]])
Y = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])


def program(logits=LOGITS, y=Y):
    with pyro.plate("rows", len(logits), dim=-1):
        return pyro.sample("y", dist.Bernoulli(logits=logits).to_event(1), obs=y)


def log_prob(handler, **arguments):
    with handler:
        trace = poutine.trace(program).get_trace(**arguments)
    trace.compute_log_prob()
    return trace.nodes["y"]["log_prob"]


def test_by_its_equation():
    p = LOGITS.sigmoid()
    expected = (W * Y * p.log() + (1 - Y) * (1 - p).log()).sum(1)
    torch.testing.assert_close(log_prob(PositiveWeights(W)), expected)


def test_equal_weights_are_the_likelihood():
    expected = log_prob(poutine.trace())
    torch.testing.assert_close(log_prob(PositiveWeights([1.0, 1.0, 1.0])), expected)


def test_odds_come_out_too_high_by_the_weight():
    logit = torch.zeros(1, requires_grad=True)
    y = torch.tensor([[1.0], [0.0], [0.0], [0.0]])
    optimizer = torch.optim.LBFGS([logit], max_iter=50)

    def closure():
        optimizer.zero_grad()
        loss = -log_prob(PositiveWeights([6.0]), logits=logit.expand(4, 1), y=y).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert logit.exp().item() == pytest.approx(6.0 * 1 / 3, rel=1e-3)


def test_masks_and_what_is_not_observed_are_the_site_s_own():
    def hidden():
        fn = dist.Bernoulli(logits=LOGITS).mask(torch.tensor([[True, False, False]])).to_event(1)
        pyro.sample("y", fn, obs=Y)
        pyro.sample("x", dist.Bernoulli(logits=LOGITS).to_event(2))
        pyro.sample("z", dist.Normal(LOGITS, 1.0).to_event(2), obs=Y)

    with PositiveWeights(W):
        nodes = poutine.trace(hidden).get_trace().nodes
    expected = torch.tensor([LOGITS[0, 0].sigmoid().log(), (1 - LOGITS[1, 0].sigmoid()).log()])
    torch.testing.assert_close(nodes["y"]["fn"].log_prob(Y), expected)
    assert isinstance(nodes["x"]["fn"].base_dist, dist.Bernoulli)
    assert isinstance(nodes["z"]["fn"].base_dist, dist.Normal)


@pytest.mark.parametrize(
    "weights", [[1.0, 0.0], [1.0, -1.0], [float("nan")], torch.ones(1, 1), torch.tensor(1.0)]
)
def test_bad_weights(weights):
    with pytest.raises(
        ValueError, match="`weights` must be positive and finite, one per label; got"
    ):
        PositiveWeights(weights)


def test_as_many_weights_as_labels():
    with pytest.raises(ValueError, match="`weights` has 2 entries, but the site has 3 labels"):
        log_prob(PositiveWeights([1.0, 2.0]))
