import pytest
import torch
from torch import nn

from sure_pyro.propagation import sampling, taylor
from sure_pyro.propagation.more import moment_matching
from sure_pyro.propagation.more.assumed_density import gelu, relu

SIGMAS = 4.5


def randn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


MEAN, VARIANCE = randn(5, 4), randn(5, 4, seed=1).square()


@pytest.mark.parametrize(("match", "layer"), [(relu, nn.ReLU()), (gelu, nn.GELU())])
def test_one_activation_is_exact(match, layer):
    mean, variance, gain = match(MEAN, VARIANCE)
    draws = sampling(layer, MEAN, VARIANCE, num_samples=100_000)
    # a ReLU far below zero never left it in any draw: its moments are tiny, its errors zero
    assert ((mean - draws.mean).abs() < SIGMAS * draws.mean_error + 1e-9).all()
    assert ((variance - draws.variance).abs() < SIGMAS * draws.errors["total"] + 1e-9).all()
    # Stein: E[f'(x)] = d E[f(x)] / d mean
    step = 1e-5
    slope = (match(MEAN + step, VARIANCE)[0] - match(MEAN - step, VARIANCE)[0]) / (2 * step)
    torch.testing.assert_close(gain, slope, rtol=1e-6, atol=1e-8)


def test_linear_is_exact_and_sources_add_up():
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 3), nn.Identity(), nn.Dropout()).double()
    mean, variance = {"a": MEAN, "b": MEAN + 1}, {"a": VARIANCE, "b": VARIANCE / 2}
    y = moment_matching(net, mean, variance)
    exact = taylor(
        lambda z: net[1](torch.cat([z["a"], z["b"]], -1)), mean, variance, output_covariance=True
    )
    torch.testing.assert_close(y.mean, exact.mean)
    torch.testing.assert_close(y.covariance, exact.covariance)
    torch.testing.assert_close(y.sources["b"], exact.sources["b"])


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU])
def test_a_wide_network_is_closer_than_taylor(activation):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 64), activation(), nn.Linear(64, 64), activation())
    net = nn.Sequential(net, nn.Linear(64, 3)).double().requires_grad_(False)
    truth = sampling(net, MEAN, VARIANCE, num_samples=20_000)
    matched, linear = moment_matching(net, MEAN, VARIANCE), taylor(net, MEAN, VARIANCE)
    errors = [float((y.variance - truth.variance).abs().sum()) for y in (matched, linear)]
    assert errors[0] < errors[1] * 0.8
    mean_errors = [float((y.mean - truth.mean).abs().sum()) for y in (matched, linear)]
    assert mean_errors[0] < mean_errors[1] / 3


def test_certain_inputs_stay_certain():
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double()
    mean = {"a": MEAN[:, :2], "b": MEAN[:, 2:]}
    y = moment_matching(net, mean, {"a": torch.zeros(5, 2).double()})
    torch.testing.assert_close(y.mean, net(MEAN))
    assert (y.variance < 1e-20).all()


def test_callers_under_autocast_get_the_same():
    net = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 2))
    args = net, MEAN.float(), VARIANCE.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = moment_matching(*args)
    assert torch.equal(y.variance, moment_matching(*args).variance)


def test_unknown_layers_are_named():
    with pytest.raises(TypeError, match="got Tanh"):
        moment_matching(nn.Sequential(nn.Tanh()), MEAN, VARIANCE)
