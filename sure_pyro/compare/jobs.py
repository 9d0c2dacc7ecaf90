"""Jobs that need each other's results, one after the other or in parallel processes."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from sure_pyro.compare.workers import Pool, WorkerDied, pack


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
        At the top level of a module, to be found from another process.
    arguments : Callable
        Results so far, by key, to the arguments of the function.
    needs : tuple of str
        Keys of the jobs whose results they are made from.
    here : bool
        Run in this process, because an argument can not or need not travel.
    cost : float
        About how long it takes, in any unit that all jobs share.
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
        Processes; 1 runs everything in this one.
    """
    results: dict[str, Any] = {}
    if workers == 1:
        for job in jobs:
            results[job.key] = _attempt(job, results)
            yield job, results[job.key]
        return
    waiting = longest_road_first(jobs)
    with Pool(workers) as pool:
        while waiting or pool.busy:
            for job in [j for j in waiting if all(need in results for need in j.needs)]:
                result = _start(job, results, pool)
                if result is _NOT_YET:
                    continue
                waiting.remove(job)
                if result is not None:
                    results[job.key] = result
                    yield job, result
            for job, result in pool.finished() if pool.busy else ():
                results[job.key] = _result(result)
                yield job, results[job.key]


def longest_road_first(jobs: Sequence[Job]) -> list[Job]:
    """Order jobs by the cost of the longest chain that begins with them.

    What keeps others waiting, and what takes long, starts early, so that no process is left with a
    long job when the others are done.
    """
    road: dict[str, float] = {}
    for job in reversed(jobs):  # whoever needs a job stands behind it
        road[job.key] = road.get(job.key, 0.0) + job.cost
        for need in job.needs:
            road[need] = max(road.get(need, 0.0), road[job.key])
    return sorted(jobs, key=lambda job: -road[job.key])


_NOT_YET = object()


def _start(job: Job, results: dict[str, Any], pool: Pool) -> Any:
    """Start a job: its result if it has one already, None while a process works on it."""
    failed = _failed_before(job, results)
    if failed is not None:
        return failed
    if job.here:
        return _attempt(job, results)
    if not pool.free:
        return _NOT_YET
    try:
        pool.submit(job, pack(guarded, job.function, job.arguments(results)))
    except ValueError as error:  # it can not be sent
        return Failed(str(error))
    return None


def _attempt(job: Job, results: dict[str, Any]) -> Any:
    failed = _failed_before(job, results)
    if failed is not None:
        return failed
    with threadpool_limits(1):
        return guarded(job.function, job.arguments(results))


def _failed_before(job: Job, results: dict[str, Any]) -> Failed | None:
    for need in job.needs:
        if isinstance(results[need], Failed):
            return results[need]
    return None


def _result(result: Any) -> Any:
    return Failed(str(result)) if isinstance(result, WorkerDied) else result


def guarded(function: Callable, arguments: tuple) -> Any:
    """Call a function; an error becomes its result."""
    try:
        return function(*arguments)
    except Exception as error:
        return Failed(f"{type(error).__name__}: {error}", traceback.format_exc())
