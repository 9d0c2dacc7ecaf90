"""What propagation costs and how right it is: ``python -m benchmarks.propagation``.

Every number is a ratio of measurements taken in turn in one run: on one thread, and the costs of
Taylor also on as many as torch takes by itself. Prints tables,
keeps JSON under ``benchmarks/results/`` and draws ``docs/images/propagation_methods.png``.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import torch

from benchmarks import propagation_accuracy, propagation_cost, propagation_methods
from sure_pyro.files import replacing, write_text

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for a report of its own")
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=list(PARTS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    suffix = "" if options.device == "cpu" else f"_{options.device}"
    path = ROOT / "benchmarks" / "results" / f"propagation{suffix}.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = machine(options.device)
    for part in options.only:
        results[part] = PARTS[part](options.device)
        print(f"\n{part}")
        print_table(results[part])
        write(path, json.dumps(results, indent=1))
    print(f"\nKept in {path.relative_to(ROOT)}.")


def methods(device: str) -> list[dict[str, object]]:
    lines = propagation_methods.accuracy_against_cost()
    image = ROOT / "docs" / "images" / "propagation_methods.png"
    with replacing(image) as temporary:
        propagation_methods.picture(lines, temporary)
    return lines


def verdicts(device: str) -> list[dict[str, object]]:
    settings = ((1, None), (1, "taylor"), (32, None), (32, "taylor"))
    return [line for setting in settings for line in propagation_accuracy.verdicts(*setting)]


PARTS = {
    "taylor_cost": propagation_cost.taylor_cost,
    "by_row_cost": propagation_cost.by_row_cost,
    "memory": lambda device: [propagation_cost.memory(device)],
    "controlled_draws": propagation_accuracy.controlled_draws,
    "verdicts": verdicts,
    "methods": methods,
}


def machine(device: str) -> dict[str, str]:
    name = platform.processor() or platform.machine()
    if device != "cpu":
        name = torch.cuda.get_device_name()
    return {"device": name, "torch": torch.__version__}


def print_table(lines: list[dict[str, object]]) -> None:
    def cell(value: object) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    rows = [[*lines[0]], *([cell(value) for value in line.values()] for line in lines)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    write_text(path, text + "\n")


if __name__ == "__main__":
    main()
