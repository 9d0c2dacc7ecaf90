"""Jobs that need each other's results, one after the other or in parallel processes by joblib.

A process that dies, as when memory runs out, takes only its own job: what was in flight beside it
is done again, each in a process of its own. Where the processes are is joblib's affair:
``joblib.parallel_config(backend=...)`` takes them to a cluster.
"""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits


@dataclass(frozen=True)
class Failed:
    """Why a job has no result: the last line of the error, and all of it."""

    reason: str
    details: str = ""


@dataclass(frozen=True, eq=False)
class Job:
    """One piece of work.

    Parameters
    ----------
    key : str
    function : Callable
    arguments : Callable
        Results so far, by key, to the arguments of the function.
    needs : tuple of str
        Keys of the jobs whose results they are made from.
    here : bool
        Run in this process, because an argument can not or need not travel.
    cost : float
        About how long it takes, in any unit that all jobs share: long ones start first.
    """

    key: str
    function: Callable
    arguments: Callable[[dict[str, Any]], tuple]
    needs: tuple[str, ...] = ()
    here: bool = False
    cost: float = 1.0


def run_jobs(jobs: Sequence[Job], workers: int = 1) -> Iterator[tuple[Job, Any]]:
    """Run jobs, each after those it needs; give every job with its result as it comes.

    An error does not stop the others: the result is then `Failed`, as it is for every job that
    needs it. An interruption stops all.

    Parameters
    ----------
    jobs : sequence of Job
        In an order in which they can be run one by one.
    workers : int
        Processes; 1 runs everything in this one. More run in waves: all jobs whose needs are
        there, then those that need them.
    """
    results: dict[str, Any] = {}
    waiting = list(jobs) if workers == 1 else sorted(jobs, key=lambda job: -job.cost)
    while waiting:
        ready = [job for job in waiting if results.keys() >= set(job.needs)]
        ready = ready[:1] if workers == 1 else ready
        waiting = [job for job in waiting if job not in ready]
        for job, result in _run_wave(ready, results, workers):
            results[job.key] = result
            yield job, result


def _run_wave(
    jobs: Sequence[Job], results: dict[str, Any], workers: int
) -> Iterator[tuple[Job, Any]]:
    """Run jobs that need nothing more: some in this process, then the others in parallel."""
    away = []
    for job in jobs:
        failed = [results[need] for need in job.needs if isinstance(results[need], Failed)]
        if failed:
            yield job, failed[0]
        elif job.here or workers == 1:
            with threadpool_limits(1):
                yield job, guarded(job.function, job.arguments(results))
        else:
            away.append((job, job.arguments(results)))
    yield from _in_parallel(away, workers)


def _in_parallel(calls: list[tuple[Job, tuple]], workers: int) -> Iterator[tuple[Job, Any]]:
    queue, flying = deque(calls), {}

    def start() -> Iterator[Any]:
        while queue:
            job, arguments = queue.popleft()
            flying[job.key] = job, arguments
            yield delayed(_serve)(job.key, job.function, arguments)

    while queue:
        try:
            for key, result in _processes(workers)(start()):
                yield flying.pop(key)[0], result
        except Exception:  # a process died, or something can not be sent: one of those in flight
            for job, arguments in flying.values():
                yield job, _alone(job, arguments)
            flying.clear()


def _alone(job: Job, arguments: tuple) -> Any:
    """Run a job with no other beside it that it could take along."""
    try:
        # Two workers, of which one is idle: a single one would be this process.
        ((_, result),) = _processes(2)([delayed(_serve)(job.key, job.function, arguments)])
    except Exception as error:
        return Failed(
            "There is no result from another process: it ended before the job was done, as when "
            "memory runs out (try fewer `workers`), or the job can not be sent to it (use "
            f"`workers=1`). {type(error).__name__}: {error}"
        )
    return result


def _processes(workers: int) -> Parallel:
    return Parallel(
        workers,
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch=workers,
        max_nbytes=None,
    )


def _serve(key: str, function: Callable, arguments: tuple) -> tuple[str, Any]:
    """Work of another process, on one thread."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        return key, guarded(function, arguments)


def guarded(function: Callable, arguments: tuple) -> Any:
    """Call a function; an error becomes its result."""
    try:
        return function(*arguments)
    except Exception as error:
        return Failed(f"{type(error).__name__}: {error}", traceback.format_exc())
