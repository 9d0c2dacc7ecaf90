"""What the named systems cost at their official width: parameters, and milliseconds per row.

Weights are random and rows are complete: neither changes the time. `encode` is paid once per row,
`fuse` for every draw of the missing latents, and `gradient` (of one output by all latents, the
forward pass included) for every output of Taylor. Times are processor time of one thread,
the fastest of several runs, for what else the machine does can only add to it.

``python -m benchmarks.backbones --only mmml`` replaces that system in the results.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from sure_pyro.backbones import Backbone, Tokens
from sure_pyro.backbones.seam import values_of
from sure_pyro.data import Batch
from sure_pyro.files import write_text

Case = tuple[str, Backbone, Batch]
RUNS = 3
COLUMNS = "{case:30s} {parameters:8.1f} {encode:8.1f} {fuse:8.1f} {gradient:8.1f}"
UNIT = "millions of parameters; milliseconds per row"
RESULTS = Path(__file__).parent / "results" / "backbones.json"


def mmml() -> Iterator[Case]:
    """MMML on utterances of 96 tokens and 6 seconds."""
    from sure_pyro.backbones.mmml import MMML, MMMLConfig
    from sure_pyro.backbones.mmml.config import VARIANTS

    for variant in VARIANTS:
        backbone = MMML(MMMLConfig.official(variant))
        features = {
            name: torch.randint(3, 50_000, (2, 96))
            if name.startswith("text")
            else torch.randn(2, 96_000)
            for name in backbone.modalities
        }
        yield f"mmml {variant}", backbone, Batch(features)


def mmbt() -> Iterator[Case]:
    """MMBT on one or three image tokens and texts of 64 or 507 word pieces."""
    from sure_pyro.backbones.mmbt import MMBT

    for N, L, tap in ((1, 64, "embed"), (3, 64, "embed"), (3, 507, "embed"), (3, 64, "proj")):
        features = {
            "text": torch.randint(1000, 30_000, (2, L)),
            "image": torch.randn(2, 3, 224, 224),
        }
        yield f"mmbt N = {N}, L = {L}, {tap}", MMBT(23, N, tap=tap), Batch(features)


def hamlet() -> Iterator[Case]:
    """HAMLET on clips of MMAct: 32 frames, and 50 windows of each of four sensors."""
    from sure_pyro.backbones.hamlet import HAMLET

    sensors = ("acc_phone", "acc_watch", "gyro", "orientation")
    features = {name: torch.randn(1, 50, 5, 3) for name in sensors}
    clip = Batch({"rgb": torch.randn(1, 32, 3, 224, 224), **features})
    for width, merge in ((128, "concatenation"), (128, "sum"), (256, "concatenation")):
        backbone = HAMLET.for_data(clip, 35, width=width, merge=merge)
        yield f"hamlet E = {width}, {merge}", backbone, clip


SYSTEMS: dict[str, Callable[[], Iterator[Case]]] = {"mmml": mmml, "mmbt": mmbt, "hamlet": hamlet}
"""A generator of cases per system; one more line per system."""


def measure(case: str, backbone: Backbone, batch: Batch) -> dict[str, str | float]:
    """Millions of parameters, and milliseconds per row."""
    backbone.freeze()
    with torch.no_grad():
        latents = backbone.encode(batch)
        encode = fastest(lambda: backbone.encode(batch)) / len(batch)
        fuse = fastest(lambda: backbone.fuse(latents)) / len(batch)
    gradient = fastest(lambda: backward(backbone, latents)) / len(batch)
    parameters = sum(p.numel() for p in backbone.parameters()) / 1e6
    return {
        "case": case,
        "parameters": parameters,
        "encode": encode,
        "fuse": fuse,
        "gradient": gradient,
    }


def backward(backbone: Backbone, latents) -> None:
    leaves = {name: values_of(z).detach().requires_grad_() for name, z in latents.items()}
    given = {
        name: Tokens(leaves[name], z.exists) if isinstance(z, Tokens) else leaves[name]
        for name, z in latents.items()
    }
    torch.autograd.grad(backbone.fuse(given)[:, 0].sum(), list(leaves.values()))


def fastest(run: Callable[[], object]) -> float:
    """Milliseconds of the fastest of a few runs, after one that does not count."""
    run()
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        run()
        times.append(1e3 * (time.process_time() - start))
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=SYSTEMS, nargs="*", default=list(SYSTEMS))
    chosen = parser.parse_args().only
    torch.manual_seed(0)
    torch.set_num_threads(1)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for system in chosen:
        rows = []
        for case, backbone, batch in SYSTEMS[system]():
            rows.append(measure(case, backbone, batch))
            print(COLUMNS.format(**rows[-1]), flush=True)
        machine = f"{platform.system()} {platform.machine()}, one thread, torch {torch.__version__}"
        results[system] = {"machine": machine, "unit": UNIT, "rows": rows}
        write_text(RESULTS, json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
