"""What importing costs, as ratios in one run: the package against torch and Pyro, its parts alone.

Each import runs in a process of its own; the statements take turns, and the median of `TURNS` is
taken less what an empty process takes.
"""

import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from sure_pyro.files import write_text

TURNS = 7
PAIRS = {
    "sure_pyro over torch and pyro": ("import sure_pyro", "import torch, pyro"),
    "SURE over torch and pyro": ("import sure_pyro as sp; sp.SURE", "import torch, pyro"),
    "propagation over torch": ("from sure_pyro.propagation import taylor", "import torch"),
    "objectives over torch and pyro": (
        "from sure_pyro.objectives import CorrelationELBO",
        "import torch, pyro",
    ),
}
RESULTS = Path(__file__).parent / "results" / "imports.json"


def seconds(statement: str) -> float:
    """Wall time of a process that runs a statement."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - begun


def measured() -> dict[str, float]:
    """Median seconds of every statement, less those of an empty process."""
    statements = list(dict.fromkeys(s for pair in PAIRS.values() for s in pair))
    taken: dict[str, list[float]] = {statement: [] for statement in ["pass", *statements]}
    for statement in taken:  # once, so that all files are in the cache
        seconds(statement)
    for _ in range(TURNS):
        for statement, times in taken.items():
            times.append(seconds(statement))
    empty = statistics.median(taken.pop("pass"))
    return {statement: statistics.median(times) - empty for statement, times in taken.items()}


def main() -> None:
    """Print the ratios and keep them."""
    found = measured()
    lines = [
        {
            "case": case,
            "seconds": found[ours],
            "against": found[theirs],
            "ratio": found[ours] / found[theirs],
        }
        for case, (ours, theirs) in PAIRS.items()
    ]
    for line in lines:
        print("{case:32s} {seconds:.2f} s  {against:.2f} s  ratio {ratio:.2f}".format(**line))
    write_text(RESULTS, json.dumps({"machine": platform.machine(), "imports": lines}, indent=1))


if __name__ == "__main__":
    main()
