"""Run the benchmarks of ratios, each in a process of its own: ``python -m benchmarks``.

`benchmarks.objectives` is not among them: it fits models for half an hour and takes arguments.
"""

import subprocess
import sys

SUITE = ("benchmarks.training_step", "benchmarks.propagation")

if __name__ == "__main__":
    for name in SUITE:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", name], check=True)
