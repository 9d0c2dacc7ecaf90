"""Cells of an experiment that `compare` does not measure: run in parallel, kept when finished."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sure_pyro.comparison.jobs import Failed, Job, run_jobs
from sure_pyro.files import write_text
from sure_pyro.identity import digest, identity


def run_cells(
    function: Callable, arguments: Sequence[tuple], folder: Path, workers: int = 1
) -> list[dict[str, Any]]:
    """Call a function with each of the arguments; what is in the folder is not done again.

    Parameters
    ----------
    function : Callable
        At the top level of a module; gives a dictionary for JSON.
    arguments : sequence of tuple
        Numbers, names and None.
    folder : Path
        Of the finished cells. A cell is known by the source of the function and its arguments, not
        by what the function calls: empty the folder when that changes.
    workers : int
        Parallel processes.

    Returns
    -------
    list of dict
        In the order of the arguments.

    Raises
    ------
    RuntimeError
        After all cells, if some failed: the others are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {a: folder / f"{digest([identity(function), identity(a)])}.json" for a in arguments}
    open_ = [a for a in arguments if not files[a].exists()]
    jobs = [Job(str(k), function, lambda _, a=a: a) for k, a in enumerate(open_)]
    failed = []
    for job, result in run_jobs(jobs, workers):
        cell = open_[int(job.key)]
        if isinstance(result, Failed):
            failed.append(f"{cell}: {result.reason}\n{result.details}")
        else:
            write_text(files[cell], json.dumps(result))
            print(f"{int(job.key) + 1}/{len(open_)} {cell}", flush=True)
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(open_)} cells failed:\n" + "\n".join(failed))
    return [json.loads(files[a].read_text(encoding="utf-8")) for a in arguments]
