"""Two processes, each with its share of every mini-batch, against one process.

The processes run once for the whole file: `reached` starts them, and every test reads one case.
"""

from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy

import sure_pyro as sp
from sure_pyro.training.epoch import share

pytestmark = pytest.mark.slow  # each process imports everything anew
CASES = {
    "both phases": dict(objective="elbo+pcc"),
    "faithful": dict(objective="faithful:elbo+pcc"),
    "joint": dict(objective="elbo+pcc", phases=("joint",)),
}


def fitted(case, fabric=None, folder=None):
    """Fitted weights, the history, and the rows that a phase saw."""
    data, _ = sp.synthetic(120, task="regression", seed=0)
    train, validation, _ = data.split(seed=0)
    backbone = sp.MLPBackbone.for_data(train, seed=0)
    # Without dropout nothing is random but the rows and masks, which both draw alike.
    model = sp.SURE(backbone, reconstructor_options={"dropout": 0.0, "width": 16})
    checkpoint = None if folder is None else folder / "checkpoint.safetensors"
    history = sp.fit(
        model, train, validation, epochs=3, progress_bar=False, fabric=fabric,
        checkpoint=checkpoint, **case,
    )  # fmt: skip
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    return {"weights": weights, "records": history.records}


def process(fabric, folder):
    """What one of the two processes does."""
    torch.set_num_threads(1)
    rank = fabric.global_rank
    found = {name: fitted(case, fabric, folder) for name, case in CASES.items()}
    torch.save(found, folder / f"{rank}.pt")


@pytest.fixture(scope="module")
def reached(tmp_path_factory):
    folder = Path(tmp_path_factory.mktemp("processes"))
    strategy = DDPStrategy(start_method="spawn", process_group_backend="gloo")
    Fabric(accelerator="cpu", devices=2, strategy=strategy).launch(process, folder)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", CASES)
def test_both_processes_end_with_the_same_weights(reached, name):
    a, b = (found[name]["weights"] for found in reached)
    assert torch.equal(a, b)


@pytest.mark.parametrize("name", CASES)
def test_they_end_near_one_process_and_learn_as_much(reached, name):
    # The same rows and masks in other mini-batches: what differs is the order of the draws, so
    # the numbers agree as two seeds do, and not to rounding.
    alone = fitted(CASES[name])["records"]
    together = reached[0][name]["records"]
    assert [r["phase"] for r in together] == [r["phase"] for r in alone]
    first, last, alone_last = together[0], together[-1], alone[-1]
    if first["phase"] == last["phase"]:
        assert last["validation/selection"] < first["validation/selection"]
    assert last["validation/selection"] == pytest.approx(
        alone_last["validation/selection"], abs=0.1
    )


def test_shares_are_disjoint_and_complete():
    data, _ = sp.synthetic(7, task="regression", seed=0)
    model = sp.SURE(sp.MLPBackbone.for_data(data, seed=0))
    model.initialize(data)
    latents = model.encode(data)
    shares = [share(latents, latents.available, rank, 3)[0] for rank in range(3)]
    assert [len(part) for part in shares] == [3, 2, 2]
    rows = torch.cat([part.target for part in shares]).flatten().sort().values
    torch.testing.assert_close(rows, latents.target.flatten().sort().values)
    whole, _ = share(latents, latents.available, 9, 10)
    assert len(whole) == 7  # too few for all: each takes them whole
