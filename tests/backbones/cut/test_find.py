"""Places to cut at, found by what the submodules of a network give."""

import pytest
import torch
from torch import nn

from sure_pyro.backbones.compare import close, exchanged
from sure_pyro.backbones.cut.call import caller
from sure_pyro.backbones.cut.cut import Cut
from sure_pyro.backbones.cut.find import find_taps
from sure_pyro.data import Batch


class Late(nn.Module):
    """Each modality through two layers of its own; then they meet."""

    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.b, self.b_proj = nn.GRU(2, 4), nn.Linear(4, 4)  # tokens run along the first axis
        self.out = nn.Linear(8, 2)

    def forward(self, a, b):
        tokens = self.b_proj(self.b(b.transpose(0, 1))[0])
        return self.out(torch.cat([self.a(a), tokens.mean(0)], -1))


class Skipping(Late):
    """The raw features of `a` reach the fusion as well."""

    def forward(self, a, b):
        return super().forward(a, b) + a.sum(1, keepdim=True)


class SkippingLate(Late):
    """The first layer of `a` reaches the fusion beside the second."""

    def forward(self, a, b):
        return super().forward(a, b) + self.a[0](a).sum(1, keepdim=True)


class Shuffling(Late):
    """What `a` gives depends on where the row stands in the batch."""

    def forward(self, a, b):
        a = self.a(a)
        a = self.a[1](a * (1 + torch.arange(len(a)))[:, None])
        return self.out(torch.cat([a, self.b_proj(self.b(b.transpose(0, 1))[0]).mean(0)], -1))


def rows():
    g = torch.Generator().manual_seed(0)
    return Batch({"a": torch.randn(2, 3, generator=g), "b": torch.randn(2, 5, 2, generator=g)})


def found(net, names=("a", "b")):
    batch = rows()
    probe = Cut(net.eval(), {}, caller(net, batch), everywhere=True)
    taps = find_taps(probe, batch, list(names), exchanged, close)
    return {name: (tap.module, tap.axis) for name, tap in taps.items()}


def test_the_latest_place_that_holds_all():
    torch.manual_seed(0)
    assert found(Late()) == {"a": ("a", 0), "b": ("b_proj", 1)}


def test_one_before_what_is_read_beside_it():
    torch.manual_seed(0)
    assert found(SkippingLate(), ["a"]) == {"a": ("a.0", 0)}


def test_an_output_that_depends_on_the_place_of_the_row_is_no_latent():
    torch.manual_seed(0)
    assert found(Shuffling(), ["a"]) == {"a": ("a", 0)}


def test_where_there_is_no_place_the_candidates_are_named():
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=r"Skipping was found.*of 'a'.*are \['a'\]: name one"):
        found(Skipping(), ["a"])


def test_a_modality_that_is_not_read_has_none():
    class Deaf(Late):
        def forward(self, a, b):
            return super().forward(torch.zeros_like(a), b)

    with pytest.raises(ValueError, match=r"None depends on 'a' alone"):
        found(Deaf(), ["a"])
