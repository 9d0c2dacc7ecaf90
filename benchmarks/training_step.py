"""Cost of a phase-1 training step against a hand-written PyTorch step of the same network and loss.

Measured side by side in one run, alternating, on batches of 256 rows with the latent sizes of the
digits (4 x 16) and of mfeat (6 modalities): median seconds per step, and their ratio.
"""

import json
import math
import platform
import statistics
import time
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import nn

from sure_pyro.files import write_text
from sure_pyro.models import Latents, MaskedReconstructor, PairwiseReconstructor, hide
from sure_pyro.objectives import preset
from sure_pyro.training.steps import ReconstructionStep

SIZES = {"digits": [16] * 4, "mfeat": [32, 32, 32, 32, 32, 6]}
ROWS, STEPS, WARM_UP = 256, 60, 5
TABLE = "{case:32s} {hand_written:.5f} s  {sure_pyro:.5f} s  ratio {ratio:.2f}"
RESULTS = Path(__file__).parent / "results" / "training_step.json"


class OnlyReconstructor(nn.Module):
    """What a phase-1 step needs of a model."""

    def __init__(self, reconstructor):
        super().__init__()
        self.reconstructor = reconstructor

    def reconstruct(self, latents, visible):
        """See `sure_pyro.SURE.reconstruct`."""
        return self.reconstructor(latents.values, visible)


def hand_written(reconstructor, optimizer, latents, weight):
    """Gaussian likelihood and Pearson correlation of what was hidden, in plain PyTorch."""
    visible = hide(latents)
    output = reconstructor.forward(latents.values, visible)
    nll, correlation, count = 0.0, 0.0, 0
    for name, (loc, scale) in output.items():
        hidden = ~visible[name].squeeze(1)
        e = (latents.values[name] - loc).square().squeeze(1)
        s = scale.squeeze(1)
        log_prob = -0.5 * e / s.square() - s.log() - 0.5 * math.log(2 * math.pi)
        nll = nll - (log_prob.sum(-1) * hidden).sum()
        count = count + hidden.sum() * e.shape[-1]
        u, e = s.square().mean(-1)[hidden], e.mean(-1)[hidden].detach()
        u, e = u - u.mean(), e - e.mean()
        correlation = correlation + 1 - (u * e).sum() / (u.norm() * e.norm())
    loss = nll / count + weight * correlation
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(reconstructor.parameters(), 5.0)
    optimizer.step()


def ours(wrapped, step, optimizer, latents, fabric):
    """The same step as the training loop takes it."""
    loss = wrapped(latents, hide(latents))
    assert torch.isfinite(loss)
    optimizer.zero_grad()
    fabric.backward(loss)
    fabric.clip_gradients(step, optimizer, max_norm=5.0, error_if_nonfinite=False)
    optimizer.step()


def measure(kind, sizes) -> dict[str, float]:
    """Median seconds of both steps, taken in turn."""
    torch.manual_seed(0)
    shapes = {f"m{i}": (1, D) for i, D in enumerate(sizes)}
    values = {name: torch.randn(ROWS, 1, D) for name, (_, D) in shapes.items()}
    available = {name: torch.ones(ROWS, 1, dtype=torch.bool) for name in shapes}
    latents = Latents(values, available)
    plain, traced = kind(shapes), kind(shapes)
    elbo, handler = preset("elbo+pcc")
    fabric = Fabric(accelerator="cpu", devices=1)
    step = ReconstructionStep(OnlyReconstructor(traced), elbo, handler)
    wrapped, optimizer = fabric.setup(step, torch.optim.AdamW(step.parameters_to_train()))
    plain_optimizer = torch.optim.AdamW(plain.parameters())
    seconds: dict[str, list[float]] = {"hand_written": [], "sure_pyro": []}
    for i in range(STEPS + WARM_UP):
        start = time.perf_counter()
        hand_written(plain, plain_optimizer, latents, elbo.weight)
        middle = time.perf_counter()
        ours(wrapped, step, optimizer, latents, fabric)
        end = time.perf_counter()
        if i >= WARM_UP:
            seconds["hand_written"].append(middle - start)
            seconds["sure_pyro"].append(end - middle)
    return {name: statistics.median(values) for name, values in seconds.items()}


def run() -> list[dict]:
    """All cases: rows for the table and the JSON file."""
    rows = []
    for data, sizes in SIZES.items():
        for kind in (MaskedReconstructor, PairwiseReconstructor):
            seconds = measure(kind, sizes)
            ratio = seconds["sure_pyro"] / seconds["hand_written"]
            rows.append({"case": f"{data}, {kind.__name__}", **seconds, "ratio": ratio})
    return rows


def main() -> None:
    """Print the table and keep the numbers as JSON."""
    torch.set_num_threads(1)
    rows = run()
    for row in rows:
        print(TABLE.format(**row))
    machine = f"{platform.system()} {platform.machine()}, one thread, torch {torch.__version__}"
    write_text(RESULTS, json.dumps({"machine": machine, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
