"""Two processes, each with a part of the rows, against one process with all of them.

The processes run once for the whole file: `reached` starts them, they work through `CASES`, and
every test compares one case.
"""

import warnings
from pathlib import Path

import pyro
import pyro.distributions as dist
import pytest
import torch
from lightning_fabric import Fabric
from pyro import poutine
from pyro.nn import PyroModule
from torch.nn.parallel import DistributedDataParallel

from sure_pyro.objectives import CRPS, CorrelationELBO, pearson

ROWS = 24
pytestmark = pytest.mark.slow  # each process imports everything anew
CASES = {
    "equal": dict(first=12, options={}),
    "unequal": dict(first=17, options={}),
    "one row": dict(first=1, options={}),
    "spearman": dict(first=15, options={"statistic": "spearman"}),
    "kendall": dict(first=15, options={"statistic": "kendall"}),
    "concordance": dict(first=15, options={"statistic": "concordance"}),
    "memory": dict(first=15, options={"memory": 40}),
    "dimension": dict(first=15, options={"per": "dimension"}),
    "entry": dict(first=15, options={"per": "entry", "uncertainty": "sd", "error": "absolute"}),
    "error not detached": dict(first=15, options={"detach_error": False}),
    "half of one process unobserved": dict(first=12, options={}, unobserved=6),
    "one process unobserved": dict(first=12, options={}, unobserved=12),
}


class Regression(PyroModule):
    """A heteroscedastic regression with two outputs, on hidden units."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(
            torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4)
        )

    def forward(self, x, y, mask):
        loc, raw = self.net(x).chunk(2, -1)
        with pyro.plate("rows", len(x)), poutine.mask(mask=mask):
            pyro.sample("y", dist.Normal(loc, raw.exp()).to_event(1), obs=y)


class NoGuide(PyroModule):
    def forward(self, x, y, mask):
        pass


def batches(unobserved=0):
    """Two mini-batches; the first rows of each may be unobserved."""
    g = torch.Generator().manual_seed(1)
    x = torch.randn(2, ROWS, 3, generator=g, dtype=torch.float64)
    y = torch.randn(2, ROWS, 2, generator=g, dtype=torch.float64) * (1 + x[..., :1].abs())
    mask = torch.arange(ROWS).expand(2, ROWS) >= unobserved
    return list(zip(x, y, mask, strict=True))


def result(case, rows=slice(None), wrap=lambda step: step):
    """Losses of two batches in turn, the correlation, and the gradient of the second loss."""
    torch.manual_seed(0)
    elbo = CorrelationELBO(weight=0.7, **case["options"])
    model = Regression().double()
    step = wrap(elbo(model, NoGuide()))
    losses = []
    for batch in batches(case.get("unobserved", 0)):
        model.zero_grad()
        loss = step(*(x[rows] for x in batch))
        loss.backward()
        losses.append(loss.detach())
    return {
        "losses": torch.stack(losses),
        "rho": elbo.terms["rho/y"],
        "elbo": elbo.terms["elbo"],
        "gradient": torch.cat([p.grad.flatten() for p in model.parameters()]),
    }


def rows_of(case, rank):
    return slice(0, case["first"]) if rank == 0 else slice(case["first"], None)


def process(rank, folder):
    """What one of the two processes does."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    found = {
        name: result(case, rows_of(case, rank), DistributedDataParallel)
        for name, case in CASES.items()
    }
    found["refused"] = _refusal(rank)
    found["left out"] = _left_out(rank)
    found["local rho"] = _local_correlation(rank)
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def _refusal(rank):
    """Rows with other entries in each process."""
    y = torch.randn(4, 2 + rank)

    def program():
        with pyro.plate("rows", 4):
            pyro.sample("y", dist.Normal(torch.zeros_like(y), 1.0).to_event(1), obs=y)

    try:
        CorrelationELBO(per="dimension").differentiable_loss(program, lambda: None)
    except ValueError as error:
        return str(error)


def _left_out(rank):
    """A variance that is infinite in the rows of one process only."""
    scale = torch.linspace(1, 2, 5)

    def program():
        with pyro.plate("rows", 5):
            pyro.sample("y", dist.Normal(0.0, scale), obs=scale)
            pyro.sample("t", dist.StudentT(1.5 + rank, 0.0, scale), obs=scale)

    elbo = CorrelationELBO()
    with warnings.catch_warnings(record=True):
        elbo.differentiable_loss(program, lambda: None)
    return elbo.left_out, sorted(elbo.terms)


def _local_correlation(rank):
    case = CASES["equal"]
    x, y, _ = (t[rows_of(case, rank)] for t in batches()[1])
    torch.manual_seed(0)
    loc, raw = Regression().double().net(x).chunk(2, -1)
    return pearson((2 * raw).exp().mean(-1), (y - loc).square().mean(-1)).detach()


@pytest.fixture(scope="module")
def reached(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(process, args=(folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_one_process_with_all_rows(reached, name):
    expected = result(CASES[name])
    for found in reached:
        for quantity, x in found[name].items():
            torch.testing.assert_close(x, expected[quantity], atol=1e-12, rtol=1e-9)
    assert expected["gradient"].abs().max() > 1e-3


def test_it_is_not_the_mean_of_the_processes_own_correlations(reached):
    mean = torch.stack([found["local rho"] for found in reached]).mean()
    assert (mean - result(CASES["equal"])["rho"]).abs() > 0.005


def test_rows_with_other_entries_are_refused(reached):
    for found in reached:
        assert "different numbers of groups: [2, 3]" in found["refused"]


def test_a_site_is_left_out_by_all_processes_or_by_none(reached):
    for found in reached:
        left_out, terms = found["left out"]
        assert left_out["t"].endswith("StudentT is infinite or undefined in 5 of 10 pairs")
        assert terms == ["elbo", "rho/y"]


def _with_fabric(fabric, folder):
    """A training step as the training loop takes it, under a score."""
    case = CASES["unequal"]
    torch.manual_seed(0)
    step = CorrelationELBO(weight=0.7)(Regression().double(), NoGuide())
    wrapped, optimizer = fabric.setup(step, torch.optim.SGD(step.parameters(), lr=0.1))
    rows = rows_of(case, fabric.global_rank) if fabric.world_size == 2 else slice(None)
    for batch in batches():
        with CRPS():
            loss = wrapped(*(x[rows] for x in batch))
        optimizer.zero_grad()
        fabric.backward(loss)
        optimizer.step()
    torch.save([p.detach() for p in step.parameters()], f"{folder}/{fabric.global_rank}.pt")


def test_two_training_steps_under_fabric_lead_to_the_same_weights(tmp_path):
    found = {}
    for processes in (1, 2):
        folder = Path(tmp_path) / str(processes)
        folder.mkdir()
        strategy = "ddp_spawn" if processes == 2 else "auto"
        fabric = Fabric(accelerator="cpu", devices=processes, strategy=strategy)
        fabric.launch(_with_fabric, folder)
        found[processes] = torch.load(folder / "0.pt")
    for two, one in zip(found[2], found[1], strict=True):
        torch.testing.assert_close(two, one, atol=1e-12, rtol=1e-9)
