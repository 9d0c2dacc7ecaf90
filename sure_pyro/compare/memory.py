"""The most memory that a piece of work held, beyond what was held when it began."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Peak:
    """Peak in megabytes (10^6 bytes); NaN where the system does not tell."""

    megabytes: float = float("nan")


@contextmanager
def peak_memory() -> Iterator[Peak]:
    """Measure what runs inside: the device's memory where there is one, else the process's.

    Linux keeps the high-water mark of a process and lets it be put back; elsewhere there is none
    to be had that belongs to one piece of work.
    """
    peak = Peak()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        yield peak
        peak.megabytes = (torch.cuda.max_memory_allocated() - before) / 1e6
        return
    try:
        CLEAR.write_text("5")
        start = _kilobytes("VmRSS")
    except (OSError, StopIteration):
        yield peak
        return
    yield peak
    peak.megabytes = max(_kilobytes("VmHWM") - start, 0) * 1024 / 1e6


def _kilobytes(name: str) -> int:
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))
