import math

import pyro
import pytest
import torch
from pyro import poutine
from pyro.infer import Trace_ELBO

from sure_pyro.guides import MeanFieldGuide, WeightProgram
from sure_pyro.objectives import CorrelationELBO
from tests.guides.conftest import NOISE, PRIOR, likelihood


def test_log_joint_of_the_full_data_is_the_closed_form(conjugate):
    trace = poutine.trace(conjugate.program()).get_trace(conjugate.x, conjugate.y)
    w = trace.nodes["weight"]["value"].reshape(-1)
    prior = -0.5 * (w.square() / PRIOR**2 + math.log(2 * math.pi * PRIOR**2)).sum()
    residual = conjugate.y - conjugate.x @ w
    data = -0.5 * (residual.square() / NOISE**2 + math.log(2 * math.pi * NOISE**2)).sum()
    torch.testing.assert_close(trace.log_prob_sum(), prior + data)


@pytest.mark.parametrize("elbo", [Trace_ELBO(), CorrelationELBO(0.0)])
def test_mean_over_mini_batches_is_the_full_data_elbo(conjugate, elbo):
    """Under the same drawn weights; a prior counted once per batch would be off by far."""
    program = conjugate.program()
    approximation = MeanFieldGuide().approximation(program, (conjugate.x, conjugate.y))

    def loss(rows):
        with poutine.seed(rng_seed=1):
            return elbo.loss(program, approximation, conjugate.x[rows], conjugate.y[rows])

    batches = torch.randperm(60).split(15)
    means = torch.tensor([loss(rows) for rows in batches]).mean()
    torch.testing.assert_close(means.item(), loss(torch.arange(60)))


def test_default_prior_has_the_size_of_the_weights():
    net = torch.nn.Linear(2, 1)
    net.weight.data, net.bias.data = torch.tensor([[3.0, 4.0]]), torch.zeros(1)
    prior = WeightProgram(net, likelihood, 10).prior
    assert prior["weight"] == pytest.approx(12.5**0.5)
    assert prior["bias"] == 0.01


def test_parameters_outside_the_names_are_not_uncertain(double):
    net = torch.nn.Linear(3, 1)
    program = WeightProgram(net, likelihood, 4, names=("weight",))
    trace = poutine.trace(program).get_trace(torch.zeros(4, 3), torch.zeros(4))
    assert [n for n, s in trace.nodes.items() if s["type"] == "sample"][:1] == ["weight"]
    assert "bias" not in trace.nodes
    torch.testing.assert_close(trace.nodes["y"]["fn"].loc, net.bias.expand(4))


def test_nothing_enters_the_global_parameter_store(conjugate):
    program = conjugate.program()
    approximation = MeanFieldGuide().approximation(program, (conjugate.x, conjugate.y))
    Trace_ELBO().differentiable_loss(program, approximation, conjugate.x, conjugate.y).backward()
    assert len(pyro.get_param_store()) == 0
    assert {n for n, p in approximation.named_parameters() if p.grad is not None}


def test_wrong_arguments_are_named():
    net = torch.nn.Linear(2, 1)
    with pytest.raises(ValueError, match=r"`names` has \['w'\].* are \['weight', 'bias'\]"):
        WeightProgram(net, likelihood, 5, names=("w",))
    with pytest.raises(ValueError, match="`num_rows` must be positive; got 0"):
        WeightProgram(net, likelihood, 0)
    with pytest.raises(ValueError, match="`prior_scale` must be positive; got -1"):
        WeightProgram(net, likelihood, 5, prior_scale=-1.0)
