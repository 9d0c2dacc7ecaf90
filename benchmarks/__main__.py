"""Run the benchmarks of ratios, each in a process of its own: ``python -m benchmarks``.

The others (`objectives`, `guides`, `calibration`, `calibration_prior`) are not among them: they fit
models for long, or take datasets and folders as arguments.
"""

import subprocess
import sys

SUITE = ("benchmarks.imports", "benchmarks.training_step", "benchmarks.propagation")

if __name__ == "__main__":
    for name in SUITE:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", name], check=True)
