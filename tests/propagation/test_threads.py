"""Many threads on one function give the bits of one."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from sure_pyro.propagation import FullCovariance, cross_check, sampling, taylor
from sure_pyro.propagation.more import second_order

THREADS, CALLS = 8, 6


class Fusion(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, z):
        return self.head(self.layer(torch.stack([z["a"], z["b"]], 1)).mean(1))


torch.manual_seed(0)
NET = Fusion().eval().requires_grad_(False)
MEAN = {name: torch.randn(16, 8) for name in "ab"}
VARIANCE = {name: torch.rand(16, 8) / 5 for name in "ab"}
SOME = {name: s2 * (torch.arange(16) < 3)[:, None] for name, s2 in VARIANCE.items()}
FULL = {"a": FullCovariance(VARIANCE["a"].diag_embed())}
HEAD = NET.head.weight.clone()


def weights(seed):
    noise = torch.randn(HEAD.shape, generator=torch.Generator().manual_seed(seed))
    return {"head.weight": HEAD + noise}


TASKS = {
    "taylor": lambda: taylor(NET, MEAN, VARIANCE),
    "taylor, few rows": lambda: taylor(NET, MEAN, SOME, output_covariance=True),
    "taylor, differentiable": lambda: taylor(NET, MEAN, VARIANCE, create_graph=True).detach(),
    "second order": lambda: second_order(NET, MEAN, VARIANCE, probes=1),
    "sampling": lambda: sampling(NET, MEAN, VARIANCE, num_samples=20),
    "sampling, full": lambda: sampling(NET, MEAN, FULL, num_samples=20),
    "sampling, sobol": lambda: sampling(NET, MEAN, VARIANCE, num_samples=16, draws="sobol"),
    "sampling, controlled": lambda: sampling(
        NET, MEAN, VARIANCE, num_samples=64, control="taylor", by_source=False
    ),
    "sampling, weights": lambda: sampling(NET, MEAN, VARIANCE, num_samples=10, weights=weights),
}


def numbers(name):
    y = TASKS[name]()
    return [y.mean, *y.sources.values(), *y.errors.values()]


@pytest.fixture
def impatient():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_eight_threads_give_the_bits_of_one(impatient):
    alone = {name: numbers(name) for name in TASKS}
    names = list(TASKS)

    def work(thread):
        return [
            (name, numbers(name))
            for k in range(CALLS)
            for name in [names[(thread + k) % len(names)]]
        ]

    with ThreadPoolExecutor(THREADS) as threads:
        found = [pair for pairs in threads.map(work, range(THREADS)) for pair in pairs]
    assert len(found) == THREADS * CALLS
    for name, values in found:
        assert all(map(torch.equal, values, alone[name])), name
    assert torch.equal(NET.head.weight, HEAD)


def test_a_switch_of_the_process_is_left_alone():
    flags = torch.backends.cuda.flash_sdp_enabled, torch.backends.cuda.math_sdp_enabled
    before, seen = [flag() for flag in flags], []

    def fn(z):
        seen.append([flag() for flag in flags])
        return NET(z)

    y = taylor(fn, MEAN, VARIANCE, create_graph=True)
    cross_check(y, sampling(fn, MEAN, VARIANCE, num_samples=20, control="taylor"))
    assert all(state == before for state in seen)
