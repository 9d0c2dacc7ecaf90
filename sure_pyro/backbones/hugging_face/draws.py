"""Models that draw random numbers in evaluation mode, made repeatable.

ViLT, for one, puts the patches of a picture in random order: no prediction changes by more than
rounding, but the caller's generator moves with every pass, and no result comes out twice to the
last bit. Such passes draw from a seed of their own.
"""

from typing import Any

import torch
from torch import nn

from sure_pyro.backbones.cut.call import Call
from sure_pyro.data import Batch


class Seeded:
    """A call whose random numbers are the same every time, and are not the caller's.

    The generator of the process is put back afterwards, so threads should not draw from it
    meanwhile.

    Parameters
    ----------
    call : callable
        ``call(net, batch)``.
    """

    def __init__(self, call: Call):
        self.call = call

    def __call__(self, net: nn.Module, batch: Batch) -> Any:
        """Run the model."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.call(net, batch)


def repeatable(call: Call, net: nn.Module, batch: Batch) -> Call:
    """The call itself, or, where the model draws random numbers, one with a seed of its own."""
    with torch.random.fork_rng(devices=[]):
        before = torch.get_rng_state()
        call(net, batch)
        draws = not torch.equal(before, torch.get_rng_state())
    return Seeded(call) if draws and not isinstance(call, Seeded) else call
