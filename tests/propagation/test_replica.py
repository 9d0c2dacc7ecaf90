import threading

import torch
from pyro.nn import PyroModule
from torch import nn
from torch.func import functional_call

from sure_pyro.propagation.replica import replica


class Net(nn.Module):
    """A part in two places, a buffer, a tensor made by another, and a lock, which has no copy."""

    def __init__(self):
        super().__init__()
        self.first = self.again = nn.Linear(3, 3)
        self.register_buffer("shift", torch.ones(3))
        self.derived = 2 * self.first.weight
        self.lock = threading.Lock()
        self.settings = {"scale": 2.0}

    def forward(self, z):
        y = self.again(self.first(z)) + self.shift + z @ self.derived
        return self.settings["scale"] * y


def test_the_tensors_are_shared_and_the_parts_are_not():
    net, z = Net(), torch.randn(2, 3)
    copy = replica(net)
    assert torch.equal(copy(z), net(z))
    assert copy.first is copy.again
    assert copy.first is not net.first
    assert copy.first.weight is net.first.weight
    assert copy.shift is net.shift
    assert copy.lock is net.lock


def test_parameters_put_into_a_replica_are_not_seen_in_the_original():
    net = Net()
    copy, seen = replica(net), []
    copy.first.register_forward_pre_hook(lambda *_: seen.append(net.first.weight))
    functional_call(copy, {"first.weight": torch.zeros(3, 3)}, (torch.randn(2, 3),))
    assert all(weight is net.first.weight for weight in seen)
    assert net.first.weight.any()


def test_a_hook_and_a_module_of_pyro():
    net = PyroModule[nn.Sequential](PyroModule[nn.Linear](3, 3), nn.GELU())
    net[1].register_forward_hook(lambda module, inputs, output: output + 1)
    z = torch.randn(2, 3)
    assert torch.equal(replica(net)(z), net(z))
