"""Where a training begins: anew, or from a checkpoint that belongs to it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sure_pyro.training.checkpoint import ANEW, Record, read_checkpoint
from sure_pyro.training.origin import Origin, other_run
from sure_pyro.training.settings import Settings


def checkpoint_path(checkpoint: str | Path | None, resume: bool) -> Path | None:
    """Path of a checkpoint.

    Raises
    ------
    ValueError
        If it is a folder, or there is none to resume from.
    """
    if checkpoint is None:
        if resume:
            raise ValueError("`resume=True` needs the `checkpoint` to go on from.")
        return None
    path = Path(checkpoint)
    if path.is_dir():
        raise ValueError(f"`checkpoint` must name a file; {path} is a folder.")
    return path


def open_record(
    path: Path, origin: Origin, settings: Mapping[str, Settings], resume: bool
) -> Record:
    """Record of a run: a new one, or that of its checkpoint, at the phase to go on with.

    That is the first phase that has run out neither of epochs nor of patience. Where it was over
    and has been given more epochs, the phases after it are done anew: they rested on its weights.

    Raises
    ------
    ValueError
        If the checkpoint can not be read, belongs to another run, or has done more epochs than are
        asked for.
    """
    if not resume or not path.exists():
        return Record(path, origin)
    record = read_checkpoint(path)
    other = other_run(record.origin, origin)
    if other:
        raise ValueError(
            f"`checkpoint` {path} belongs to another run: {'; '.join(other)}. Resume it with what "
            f"it was started with (only `epochs` may grow), or {ANEW}"
        )
    _check_epochs(record, settings)
    going = [k for k, p in enumerate(record.phases) if not settings[p.phase].over(p)]
    record.go_back_to(going[0] if going else len(record.phases) - 1)
    return record


def _check_epochs(record: Record, settings: Mapping[str, Settings]) -> None:
    fewer = {p.phase: p.epoch for p in record.phases if p.epoch > settings[p.phase].epochs}
    if fewer:
        asked: Any = {phase: settings[phase].epochs for phase in fewer}
        raise ValueError(
            f"`checkpoint` {record.path} has done {fewer} epochs, and `epochs` asks for fewer: "
            f"{asked}. Ask for as many or more, or {ANEW}"
        )
