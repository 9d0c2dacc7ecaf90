"""Layers side by side are the layers one by one."""

import torch
import torch.nn.functional as F
from torch import nn

from sure_pyro.models.parallel import ParallelLayers, ParallelLinear


def test_each_is_a_linear_layer_on_its_own_rows():
    layer, x = ParallelLinear(3, 4, 2), torch.randn(3, 5, 4)
    for k, y in enumerate(layer(x)):
        torch.testing.assert_close(y, F.linear(x[k], layer.weight[k].mT, layer.bias[k, 0]))


def test_they_start_as_linear_layers_do():
    torch.manual_seed(0)
    layer, one = ParallelLinear(50, 40, 30), nn.Linear(40, 30)
    assert layer.weight.abs().max() <= 40**-0.5
    torch.testing.assert_close(layer.weight.std(), one.weight.std(), rtol=0.05, atol=0)
    assert not torch.equal(layer.weight[0], layer.weight[1])


def test_networks_do_not_see_each_other_and_dropout_is_for_training():
    layers, x = ParallelLayers(2, 6, 2, dropout=0.5), torch.randn(2, 5, 6)
    layers.eval()
    y = layers(x)
    changed = layers(torch.stack([x[0], x[1] + 1]))
    assert torch.equal(changed[0], y[0])
    assert not torch.equal(changed[1], y[1])
    assert torch.equal(layers(x), y)
    assert not torch.equal(layers.train()(x), y)
