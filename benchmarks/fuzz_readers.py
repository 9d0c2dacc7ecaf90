"""Spoilt files against the readers of datasets: ``python -m benchmarks.fuzz_readers --inputs N``.

Every reader gets its share of the inputs, which follow from the seed (`tests.data.formats.fuzz`).
An input is accepted, refused in words of the reader, failed (any other exception, or memory beyond
the bound), crashed (its process ended) or hung (no answer in a minute); slow is what took more than
five seconds. Each reader runs in a process of its own, which may use `MEMORY` bytes more than it
had before the first input, and is started again where it ended.

With `--readers` only some are tried, and their counts replace the former ones in the results.
"""

import argparse
import json
import multiprocessing
import platform
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil
import torch
from tqdm.auto import tqdm

from sure_pyro.files import write_text
from tests.data.formats.fuzz import TARGETS, Fuzzer

MEMORY = 512 * 2**20
SLOW, HUNG = 5.0, 60.0  # seconds
RESULTS = Path(__file__).parent / "results" / "fuzz_readers.json"
KINDS = ("accepted", "refused", "failed", "crashed", "hung")


def work(target: str, seed: int, start: int, stop: int, answers) -> None:
    """Try inputs, and send what became of each, with the memory used so far."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        fuzzer = Fuzzer(target, Path(folder), seed)
        fuzzer.target.read(fuzzer.folder, "error")  # loads what is loaded late
        process = psutil.Process()
        size = process.memory_info().vms + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        answers.send("ready")
        for number in range(start, stop):
            outcome = fuzzer.attempt(number)
            more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            answers.send((number, outcome.kind, outcome.seconds, outcome.why, more))


def fuzz(target: str, seed: int, inputs: int, bar: tqdm) -> dict:
    """Try that many inputs of one reader."""
    counts, slowest, peak, wrong, number = Counter(), 0.0, 0.0, [], 0
    context, began = multiprocessing.get_context("spawn"), time.perf_counter()
    while number < inputs:
        receiver, sender = context.Pipe(duplex=False)
        worker = context.Process(target=work, args=(target, seed, number, inputs, sender))
        worker.start()
        sender.close()
        receiver.recv()  # until everything is loaded
        while number < inputs:
            try:
                if not receiver.poll(HUNG):
                    raise TimeoutError
                number, kind, seconds, why, more = receiver.recv()
            except (EOFError, TimeoutError) as error:
                kind, seconds, why = "hung", HUNG, "no answer"
                if isinstance(error, EOFError):
                    worker.join()
                    kind, why = "crashed", f"exit code {worker.exitcode}"
                more = 0.0
            counts[kind] += 1
            counts["slow"] += seconds > SLOW
            slowest, peak = max(slowest, seconds), max(peak, more)
            if kind not in ("accepted", "refused"):
                wrong.append({"input": number, "kind": kind, "why": why[:300]})
            number += 1
            bar.update()
            if kind in ("crashed", "hung"):
                break
        worker.kill()
        worker.join()
    return {
        "inputs": inputs,
        **{kind: counts[kind] for kind in (*KINDS, "slow")},
        "slowest_seconds": round(slowest, 3),
        "peak_megabytes_above_start": round(peak, 1),
        "seconds": round(time.perf_counter() - began, 1),
        "wrong": wrong[:20],
    }


def before(path: Path) -> dict:
    """Counts of readers that are not tried now."""
    return json.loads(path.read_text())["readers"] if path.is_file() else {}


def main() -> None:
    """Fuzz all readers, or some, and keep the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=5000, help="in all, shared by the readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--readers", nargs="*", choices=list(TARGETS), default=list(TARGETS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    each = -(-arguments.inputs // len(arguments.readers))
    results = {
        "memory_bound_megabytes_above_start": MEMORY // 2**20,
        "hung_after_seconds": HUNG,
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "readers": before(arguments.out),
    }
    with tqdm(total=each * len(arguments.readers), unit="input") as bar:
        for target in arguments.readers:
            row = {"seed": arguments.seed, **fuzz(target, arguments.seed, each, bar)}
            results["readers"][target] = row
            results["inputs"] = sum(row["inputs"] for row in results["readers"].values())
            write_text(arguments.out, json.dumps(results, indent=1) + "\n")
    for target, row in results["readers"].items():
        print(target, *(f"{kind} {row[kind]}" for kind in (*KINDS, "slow")), sep="  ")


if __name__ == "__main__":
    main()
