import pytest
import torch
from torch import nn

from sure_pyro.propagation import sampling, taylor

MEAN = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
VARIANCE = MEAN.square()


@pytest.mark.parametrize("method", [taylor, sampling])
def test_rows_that_leak_are_refused(method):
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    with pytest.raises(ValueError, match="mixes its rows"):
        method(net, MEAN, VARIANCE)
    method(net.eval(), MEAN, VARIANCE)
    with pytest.raises(ValueError, match="mixes its rows"):
        method(lambda z: z - z.mean(0), MEAN[:2], VARIANCE[:2])
    steps_first = nn.GRU(4, 8)  # rows are its steps: only later ones see earlier ones
    tokens = torch.stack([MEAN] * 3, 1), torch.stack([VARIANCE] * 3, 1)
    with pytest.raises(ValueError, match="mixes its rows"):
        method(lambda z: steps_first(z)[0][:, -1], *tokens)
    with pytest.raises(ValueError, match="or is random"):
        method(nn.Dropout(0.5), MEAN, VARIANCE)


class Centring(nn.Module):
    """Takes the mean over the rows away, from when on it is told to."""

    on, calls = False, 0

    def forward(self, z):
        self.calls += 1
        return z - z.mean(0) if self.on else z


@pytest.mark.parametrize("method", [taylor, sampling])
def test_nothing_is_remembered_from_one_call_to_the_next(method):
    net = Centring()
    method(net, MEAN, VARIANCE)
    net.on = True
    with pytest.raises(ValueError, match="mixes its rows"):
        method(net, MEAN, VARIANCE)


def test_the_check_is_one_call_more_or_none_where_other_rows_are_certain():
    net, some = Centring(), VARIANCE.clone()
    some[2:] = 0
    for variance, check_rows, calls in [
        (VARIANCE, True, 2),
        (VARIANCE, False, 1),
        (some, True, 2),  # the certain rows, with an uncertain one among them, and the others
        (some, False, 2),
    ]:
        net.calls = 0
        taylor(net, MEAN, variance, check_rows=check_rows)
        assert net.calls == calls


def test_a_single_row_has_none_to_leak_to():
    net = Centring()
    taylor(net, MEAN[:1], VARIANCE[:1])
    assert net.calls == 1
