"""A fit on a million rows from disk: its memory, and its rows per second beside those in memory.

Three modalities with latents of 64 entries that share eight factors, four classes. One epoch of
each phase, in batches of 1,024 rows, on one thread. Each fit has a process of its own; its peak is
the most that the process ever held, files that are mapped into memory included::

    python -m benchmarks.store                # 1,000,000 rows, 768 MB in a temporary folder
    python -m benchmarks.store --rows 20000   # to see that it works
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "store.json"
MODALITIES, SIZE, FACTORS, CLASSES = ("a", "b", "c"), 64, 8, 4
BLOCK, BATCH = 8192, 1024


def write(folder: Path, rows: int) -> None:
    """Latents of a dataset that is never in memory."""
    import torch

    from sure_pyro.data.store import LatentStore

    def draw(*shape: int, seed: int) -> torch.Tensor:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

    maps = {name: draw(FACTORS, SIZE, seed=k) for k, name in enumerate(MODALITIES)}

    def encode(numbers: list[int]) -> dict:
        s = draw(len(numbers), FACTORS, seed=1000 + numbers[0])
        noise = draw(3, len(numbers), SIZE, seed=2_000_000 + numbers[0])
        values = {n: s @ w + 2 * e for (n, w), e in zip(maps.items(), noise, strict=True)}
        return {"values": values, "target": (s[:, 0] > 0).long() + 2 * (s[:, 1] > 0).long()}

    blocks = [list(range(i, min(i + BLOCK, rows))) for i in range(0, rows, BLOCK)]
    names = [str(k) for k in range(CLASSES)]
    LatentStore.create(folder, blocks, encode, class_names=names, task="classification")


def fit(folder: Path, where: str) -> dict[str, float]:
    """Fit from disk or from memory; seconds, peak memory in MB, and the last losses."""
    import torch

    import sure_pyro as sp

    torch.set_num_threads(1)
    torch.manual_seed(0)
    store = sp.LatentStore.open(folder, verify=False)
    rows = store if where == "disk" else store.batch()
    train, validation = rows.split((0.98, 0.02), seed=0)
    model = sp.SURE(sp.MLPBackbone(dict.fromkeys(MODALITIES, (SIZE,)), CLASSES, latent_size=SIZE))
    start = peak()
    begun = time.perf_counter()
    history = sp.fit(model, train, validation, epochs=1, batch_size=BATCH, progress_bar=False)
    seconds = time.perf_counter() - begun
    return {
        "rows_per_second": 2 * len(train) / seconds,  # two phases
        "seconds": seconds,
        "peak_mb_before": start,
        "peak_mb": peak(),
        "validation_losses": [history.phase(p)["validation/loss"].iloc[-1] for p in history.best],
    }


def peak() -> float:
    """Most memory that this process ever held, in MB; its parent holds little."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_a_process(*arguments: str) -> str:
    """What another process prints."""
    command = [sys.executable, "-m", "benchmarks.store", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--task", nargs=2, metavar=("STEP", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        step, folder = options.task
        if step == "write":
            return write(Path(folder), options.rows)
        return print(json.dumps(fit(Path(folder), step)))
    with tempfile.TemporaryDirectory() as folder:
        rows = ("--rows", str(options.rows))
        in_a_process(*rows, "--task", "write", folder)
        size = sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**20
        found = {
            where: json.loads(in_a_process("--task", where, folder)) for where in ("disk", "memory")
        }
    ratio = found["disk"]["rows_per_second"] / found["memory"]["rows_per_second"]
    for where, line in found.items():
        print(
            f"{where:7s} {line['rows_per_second']:9.0f} rows/s   peak {line['peak_mb']:6.0f} MB "
            f"({line['peak_mb_before']:.0f} before)   losses {line['validation_losses']}"
        )
    print(f"from disk: {ratio:.2f} times the rows per second of a fit in memory")
    if options.rows == 1_000_000:
        from sure_pyro.files import write_text

        machine = {"machine": platform.machine(), "python": platform.python_version()}
        kept = {"rows": options.rows, "store_mb": size, "ratio": ratio, **found, **machine}
        write_text(RESULTS, json.dumps(kept, indent=2) + "\n")


if __name__ == "__main__":
    main()
