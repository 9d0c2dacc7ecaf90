"""The rows of a comparison: one or several datasets, cut by seed into three parts."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sure_pyro.data import Batch, load, load_npz, resolve_partial
from sure_pyro.data.classes import aligned_with
from sure_pyro.data.store import LatentStore
from sure_pyro.identity import identity

Part = Batch | LatentStore
Cut = Callable[[int], tuple[Part, Part, Part]]
STORED_ROWS = 20_000  # that validate, and that test, of a store: they are held in memory


@dataclass(frozen=True, eq=False)
class Rows:
    """Training, validation and test rows of one dataset and seed; training rows may be on disk."""

    train: Part
    validation: Batch
    test: Batch

    @property
    def identity(self) -> list[Any]:
        """What tells these rows from others."""
        return [identity(part) for part in (self.train, self.validation, self.test)]


def resolve_data(data: Any) -> dict[str, Cut]:
    """Names of the datasets, and how each is cut by a seed.

    Parameters
    ----------
    data : Batch, LatentStore, tuple of three, str, Path, Callable, or a mapping of names to these
        See `sure_pyro.compare`.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(data, Mapping):
        if not data:
            raise ValueError("`data` is an empty mapping: name at least one dataset.")
        return {str(name): _cut(given) for name, given in data.items()}
    if isinstance(data, str | Path) and Path(data).suffix == ".npz":
        return {Path(data).stem: _cut(data)}
    return {data if isinstance(data, str) else "data": _cut(data)}


def rows(cut: Cut, name: str, seed: int) -> Rows:
    """Cut a dataset, and check that it can be compared on.

    Raises
    ------
    ValueError
        If targets are lacking, there are fewer than two modalities, or the parts do not fit each
        other; their classes go by their names.
    """
    train, validation, test = cut(seed)
    for part in (train, validation, test):
        if part.target is None:
            raise ValueError(f"{name!r} has no targets, so there is no task to compare on.")
    validation, test = _held(validation, seed), _held(test, seed)
    parts = Rows(train, aligned_with(train, validation), aligned_with(train, test, "test"))
    if len(parts.test.modalities) < 2:
        raise ValueError(
            f"A comparison needs at least two modalities; {name!r} has {parts.test.modalities}."
        )
    return parts


def _held(part: Part, seed: int) -> Batch:
    """Rows in memory; of a store, some at random."""
    if isinstance(part, Batch):
        return part
    draw = torch.Generator().manual_seed(seed)
    return part.batch(torch.randperm(len(part), generator=draw)[:STORED_ROWS])


def _split(rows: Part, seed: int) -> tuple[Part, Part, Part]:
    train, validation, test = rows.split(seed=seed)
    return train, validation, test


def _cut(given: Any) -> Cut:
    if isinstance(given, str | Path):
        batch = load_npz(given) if Path(given).suffix == ".npz" else load(str(given))
        given = resolve_partial(batch, "absent")
    if isinstance(given, Part):
        return functools.partial(_split, given)
    if isinstance(given, tuple | list) and len(given) == 3:
        train, validation, test = given
        return lambda seed: (train, validation, test)
    if callable(given):
        return given
    raise ValueError(
        "`data` must be a name, a path of an .npz file, a Batch, a LatentStore, (train, "
        "validation, test), a "
        f"function of the seed that returns these three, or a mapping of names to such; got "
        f"{type(given).__name__}."
    )
