"""`RawDataset`: rows of a dataset on disk, decoded when they are asked for.

Opening reads the tables and looks that the files are there; sound, pictures and video are decoded
row by row, so that a dataset never has to fit in memory. A row becomes numbers in two steps that
can be done apart: ``rows = dataset[0:64]``, then ``batch = dataset.to_batch(rows, tokenizer)``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64, Shaped
from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.formats.errors import Findings, Problem, UnreadableError
from sure_pyro.data.formats.modality import Modality, Tokenizer

SPLITS = ("train", "validation", "test")
ROWS_AT_ONCE = 64  # of `RawDataset.check`


@dataclass(frozen=True, slots=True)
class Entry:
    """A row before it is decoded.

    Attributes
    ----------
    id : str
    file : str
    line : int or None
        Where it stands, for errors.
    split : str
        One of `SPLITS`.
    target : int, float, tuple of float, or tuple of int
        Class, number or numbers, or for multi-label tasks the numbers of the labels.
    sources : dict
        What each modality is decoded from; None where it is absent.
    group : int
        Rows of one group never straddle a split.
    """

    id: str
    file: str
    line: int | None
    split: str
    target: int | float | tuple[float, ...] | tuple[int, ...]
    sources: Mapping[str, Any]
    group: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """A decoded row.

    Attributes
    ----------
    number : int
        In its dataset.
    id : str
    values : dict
        By modality: text, a waveform ``(T,)``, a picture ``(3, H, W)``, ...; None if absent.
    target : int, float, tuple of float, or tuple of int
        Class, number or numbers, or for multi-label tasks the numbers of the labels.
    group : int
    split : str
    """

    number: int
    id: str
    values: Mapping[str, Any]
    target: int | float | tuple[float, ...] | tuple[int, ...]
    group: int
    split: str


class RawDataset:
    """Rows of a dataset on disk; made by the readers of `sure_pyro.data.formats`.

    Parameters
    ----------
    entries : sequence of Entry
    modalities : mapping of str to Modality
        In the order of the columns of `available`.
    findings : Findings
        What was wrong so far, and what to do about rows that can not be decoded.
    task : {"classification", "regression", "multilabel"}
    class_names : sequence of str, optional
    grouped : bool
        Whether the groups of the entries mean anything.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        modalities: Mapping[str, Modality],
        findings: Findings,
        task: str,
        class_names: Sequence[str] | None = None,
        grouped: bool = False,
    ):
        self.entries = list(entries)
        self.channels = dict(modalities)
        self.findings = findings
        self.task = task
        self.class_names = None if class_names is None else tuple(class_names)
        self.grouped = grouped
        self._unreadable: dict[Any, Problem] = {}  # by place; shared with what is selected

    # -- what it is -----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The dataset's name."""
        return self.findings.form.name

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modality names, in order."""
        return tuple(self.channels)

    @property
    def skipped(self) -> int:
        """Number of rows left out so far, with ``on_error="skip"``, each counted once."""
        return self.findings.count + len(self._unreadable)

    @property
    def problems(self) -> list[Problem]:
        """Why these rows were left out; of the tables the first thousand."""
        return [*self.findings.rows, *self._unreadable.values()]

    @property
    def ids(self) -> tuple[str, ...]:
        """The rows' own names."""
        return tuple(entry.id for entry in self.entries)

    @property
    def target(self) -> Shaped[Tensor, " B"] | Shaped[Tensor, "B C"]:
        """Targets of all rows, as in `Batch`."""
        return self._target([entry.target for entry in self.entries])

    @property
    def group(self) -> Int64[Tensor, " B"] | None:
        """Group of every row, where the dataset has groups."""
        return torch.tensor([e.group for e in self.entries]) if self.grouped else None

    @property
    def splits(self) -> dict[str, Bool[Tensor, " B"]]:
        """Rows of each official part that is not empty."""
        parts = np.array([entry.split for entry in self.entries], dtype=object)
        masks = {name: torch.from_numpy(parts == name) for name in SPLITS}
        return {name: mask for name, mask in masks.items() if mask.any()}

    @property
    def available(self) -> Bool[Tensor, "B M"]:
        """Modalities whose file is there; a file that turns out to hold nothing is seen later."""
        rows = [[entry.sources[m] is not None for m in self.channels] for entry in self.entries]
        return torch.tensor(rows, dtype=torch.bool).reshape(len(self), len(self.channels))

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        rows = Counter(entry.split for entry in self.entries)
        parts = ", ".join(f"{name} {rows[name]}" for name in SPLITS if rows[name])
        present = zip(self.channels, self.available.sum(0).tolist(), strict=True)
        listed = ", ".join(f"{name} {count}" for name, count in present)
        left_out = f"; {self.skipped} rows left out" if self.problems else ""
        return f"<{self.name}: {len(self)} rows ({parts}); {listed}; {self.task}{left_out}>"

    # -- rows of it -----------------------------------------------------------------------------

    def select(self, rows: Any) -> "RawDataset":
        """Some of the rows, by number, slice, list, bool mask or index tensor; nothing is decoded.

        For a part of the official split: ``dataset.select(dataset.splits["train"])``.
        """
        part = RawDataset.__new__(RawDataset)
        part.__dict__.update(self.__dict__)
        part.entries = [self.entries[i] for i in self._numbers(rows)]
        return part

    def __getitem__(self, rows: Any) -> Any:
        """Decode rows: a `Row` for a single number, a list of them for anything else.

        Raises
        ------
        DatasetError
            If rows can not be decoded, with all of them; with ``on_error="skip"`` they are left
            out, and counted in `skipped`.
        """
        if isinstance(rows, int | np.integer):
            return self._decode_all(self._numbers(rows), "error")[0]
        return self._decode_all(self._numbers(rows), self.findings.on_error)

    def __iter__(self) -> Iterator[Row]:
        for number in range(len(self)):
            yield from self[number : number + 1]

    def check(self) -> None:
        """Decode every row once, and keep none.

        Raises
        ------
        DatasetError
            If rows can not be decoded, and they are not to be skipped.
        """
        for start in range(0, len(self), ROWS_AT_ONCE):
            self[start : start + ROWS_AT_ONCE]

    def to_batch(self, rows: Iterable[Row], tokenizer: Tokenizer | None = None) -> Batch:
        """Put decoded rows together for an encoder.

        Parameters
        ----------
        rows : iterable of Row
            At least one.
        tokenizer : callable, optional
            For datasets with text: from a list of N texts to a mapping of int64 tensors ``(N, L)``
            with ``"attention_mask"`` among them, which becomes the padding. A tokenizer of
            `transformers` with ``padding="max_length", return_tensors="pt"`` set does this.

        Returns
        -------
        Batch
            With the modalities that a row lacks marked as absent, and the rows of the official test
            part as `test`.

        Raises
        ------
        ValueError
            If there is no row, or text and no tokenizer, or the tokenizer gives something else.
        """
        rows = list(rows)
        if not rows:
            raise ValueError("`rows` is empty: a batch needs at least one row.")
        features, padding = {}, {}
        for name, modality in self.channels.items():
            values, exists = modality.together([row.values[name] for row in rows], tokenizer)
            features[name] = values
            if exists is not None:
                padding[name] = exists
        available = [[row.values[name] is not None for name in self.channels] for row in rows]
        return Batch(
            features,
            torch.tensor(available),
            self._target([row.target for row in rows]),
            torch.tensor([row.group for row in rows]) if self.grouped else None,
            padding=padding,
            task=self.task,
            class_names=self.class_names,
            test=torch.tensor([row.split == "test" for row in rows]),
        )

    def _numbers(self, rows: Any) -> list[int]:
        if isinstance(rows, Tensor):
            rows = rows.detach().cpu().numpy()
        if not isinstance(rows, slice):
            rows = np.atleast_1d(np.asarray(rows, _kind(rows)))
        return np.arange(len(self))[rows].tolist()

    def _decode_all(self, numbers: Sequence[int], on_error: str) -> list[Row]:
        decoded, problems = [], []
        for number in numbers:
            entry = self.entries[number]
            try:
                decoded.append(self._decode(number, entry))
            except UnreadableError as error:
                problems.append(Problem(entry.file, str(error), entry.line))
        if problems and on_error == "error":
            raise self.findings.error(problems)
        self._unreadable |= {(p.file, p.line): p for p in problems}
        return decoded

    def _decode(self, number: int, entry: Entry) -> Row:
        values = {name: self._load(name, entry.sources[name]) for name in self.channels}
        if all(value is None for value in values.values()):
            raise UnreadableError("no modality is recorded")
        return Row(number, entry.id, values, entry.target, entry.group, entry.split)

    def _load(self, name: str, source: Any) -> Any:
        return None if source is None else self.channels[name].load(source)

    def _target(self, targets: Sequence[Any]) -> Tensor:
        if self.task == "multilabel":
            y = torch.zeros(len(targets), len(self.class_names or ()))
            for row, labels in zip(y, targets, strict=True):
                row[list(labels)] = 1
            return y
        whole = self.task == "classification"
        return torch.tensor(targets, dtype=torch.int64 if whole else torch.float32)


def _kind(rows: Any) -> type | None:
    """Integers for an empty list, which numpy takes for floats."""
    return int if isinstance(rows, Sequence) and not rows else None
