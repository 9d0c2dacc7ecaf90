"""Tasks in parallel processes: one at a time in each, and one that dies takes only its own.

Processes are started afresh ("spawn"), so they inherit neither threads nor locks. Each computes on
one thread. A task is a function and its arguments, pickled to a process of our own making; results
come back the same way. Nothing pickled is ever written or read as a file.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, cast

import torch
from threadpoolctl import threadpool_limits

PATIENCE = 5.0  # seconds for an idle process to end by itself


class WorkerDied(RuntimeError):  # noqa: N818  (says what happened)
    """The process of a task ended without a result, as when memory runs out."""


@dataclass
class Worker:
    """One process and our end of its pipe."""

    process: Any
    pipe: Connection

    @classmethod
    def start(cls) -> Worker:
        """Start a process that waits for tasks."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        return cls(process, ours)

    def send(self, task: bytes) -> None:
        """Hand over a task."""
        self.pipe.send_bytes(task)

    def receive(self) -> Any:
        """Result of the task.

        Raises
        ------
        WorkerDied
            If there is none and will be none.
        """
        try:
            return pickle.loads(self.pipe.recv_bytes())
        except (EOFError, ConnectionError) as error:
            self.process.join()
            raise WorkerDied(
                f"The process ended with exit code {self.process.exitcode} before its cell was "
                "done; memory may have run out. Try fewer `workers`."
            ) from error

    def stop(self, patience: float = 0.0) -> None:
        """End the process, whatever it is doing after `patience` seconds."""
        self.pipe.close()  # an idle one ends by itself, and puts away what it holds
        self.process.join(patience)
        self.process.terminate()
        self.process.join()


class Pool:
    """A few workers: `submit` tasks while `free`, collect them with `finished`.

    Use it in a ``with`` statement: at its end, and at an error or interruption, all processes end.
    """

    def __init__(self, workers: int):
        self.workers = workers
        self.idle: list[Worker] = []
        self.busy: dict[Connection, tuple[Worker, Any]] = {}

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.idle:
            worker.stop(PATIENCE)
        for worker, _ in self.busy.values():
            worker.stop()

    @property
    def free(self) -> bool:
        """Whether another task can start at once."""
        return len(self.busy) < self.workers

    def submit(self, key: Any, task: bytes) -> None:
        """Start a task (from `pack`) under a key."""
        worker = self.idle.pop() if self.idle else Worker.start()
        with contextlib.suppress(OSError):  # it has died: `finished` will say so
            worker.send(task)
        self.busy[worker.pipe] = (worker, key)

    def finished(self) -> Iterator[tuple[Any, Any]]:
        """Wait for tasks; give keys and results, a result being an exception if the worker died."""
        for pipe in wait(list(self.busy)):
            worker, key = self.busy.pop(cast(Connection, pipe))
            try:
                result = worker.receive()
            except WorkerDied as died:
                worker.stop()
                yield key, died
                continue
            self.idle.append(worker)
            yield key, result


def pack(function: Any, *arguments: Any) -> bytes:
    """A task as bytes.

    Raises
    ------
    ValueError
        If something in it can not be sent to another process.
    """
    try:
        return pickle.dumps((function, arguments))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ValueError(
            f"A cell can not be sent to another process: {error}. Define functions at the top "
            "level of a module (no lambda, nothing defined in a notebook), or use `workers=1`."
        ) from error


def _serve(pipe: Connection) -> None:
    """Run tasks until the other end closes; an interruption is the parent's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        while True:
            try:
                function, arguments = pickle.loads(pipe.recv_bytes())
            except EOFError:
                return
            pipe.send_bytes(pickle.dumps(function(*arguments)))
