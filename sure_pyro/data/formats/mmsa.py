"""Feature pickles of MMSA (CMU-MOSI, CMU-MOSEI, CH-SIMS), by way of safetensors.

Mao, Yuan, Xu, Yu, Liu, Gao (2022), M-SENA: An Integrated Platform for Multimodal Sentiment
Analysis. No pickle is loaded in this process: `convert_mmsa` has a limited process of its own take
the arrays out, see `sure_pyro.data.formats.unpickle`, and `read_mmsa` reads what that wrote.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from sure_pyro.data.formats.dataset import Entry, RawDataset
from sure_pyro.data.formats.errors import (
    DatasetError,
    Findings,
    Format,
    Problem,
    UnreadableError,
    printable,
)
from sure_pyro.data.formats.folder import MB, Folder
from sure_pyro.data.formats.lines import parse_json, read_json
from sure_pyro.data.formats.modality import Features, Modality, Tokenizer
from sure_pyro.files import folder_replacing

PARTS = {"train": "train", "valid": "validation", "test": "test"}
INDEX, VERSION = "rows.json", 1
INDEX_LIMIT, ARRAY_LIMIT = 100 * MB, 10**6 * MB
FEATURES = ("text", "audio", "vision")

PICKLE = Format(
    "A feature file of MMSA",
    "aligned_50.pkl or unaligned_50.pkl: {train, valid, test}, each with id, raw_text, text,\n"
    "audio, vision, text_bert, audio_lengths, vision_lengths, regression_labels, ...",
    "ask for the processed features of CMU-MOSI, CMU-MOSEI or CH-SIMS at THUIAR (MMSA).",
)
CONVERTED = Format(
    "Converted features of MMSA",
    f"{INDEX} and <part>.<array>.safetensors, as `convert_mmsa` writes them",
    "make them with `convert_mmsa` from a feature file of MMSA.",
)


def convert_mmsa(
    source: str | Path, target: str | Path, *, memory: int | None = None, seconds: int = 600
) -> dict[str, Any]:
    """Turn a feature pickle into safetensors and JSON; nothing that stands in it is run.

    Parameters
    ----------
    source : path
        Such as ``unaligned_50.pkl``.
    target : path
        A new folder.
    memory : int, optional
        Bytes that the process which reads the pickle may use; by default 3 times the size of the
        file and 1 GB.
    seconds : int
        That it may take.

    Returns
    -------
    dict
        ``rows`` by part; ``ignored``, the names of what is not known; ``minus_infinity``, how many
        entries of the audio were -inf and became 0, as MMSA reads them.

    Raises
    ------
    DatasetError
        If the file is something else than arrays and texts in the form of MMSA, or exceeds the
        limits; nothing is left at `target`.
    FileExistsError
        If `target` is there.
    """
    source = Path(source)
    if Path(target).exists():
        raise FileExistsError(f"{target} is there already: name a new folder.")
    try:
        path = Folder(source.parent).file(source.name, ARRAY_LIMIT)
        bound = memory or 3 * path.stat().st_size + 1000 * MB
        with folder_replacing(target) as temporary:
            index = _run(path, temporary, bound, seconds)
            text = json.dumps({"version": VERSION, **index}, allow_nan=False)
            (temporary / INDEX).write_text(text, encoding="utf-8")
    except UnreadableError as error:
        raise DatasetError(PICKLE, source.parent, [Problem(source.name, str(error))]) from error
    rows = {part: fields["rows"] for part, fields in index["splits"].items()}
    return {"rows": rows, "ignored": index["ignored"], "minus_infinity": index["minus_infinity"]}


def read_mmsa(
    folder: str | Path,
    *,
    text: str = "text",
    labels: str | Sequence[str] = "regression_labels",
    on_error: str = "error",
) -> RawDataset:
    """Open converted features of MMSA: sequences of text, audio and vision.

    Parameters
    ----------
    folder : path
        That `convert_mmsa` wrote.
    text : {"text", "text_bert"}
        Vectors of words ``(L, D)``, or the numbers, mask and segments of their tokens for a text
        encoder.
    labels : str or sequence of str
        ``"regression_labels"``; those of CH-SIMS by modality end in ``_T``, ``_A`` and ``_V``.
    on_error : {"error", "skip"}
        Whether rows that can not be read are an error, or left out and counted.

    Returns
    -------
    RawDataset
        Regression; grouped by video (what stands before ``$_$`` in an id). Audio and vision have
        the lengths of the file, where it has any; one of length zero is absent. Text has those of
        the mask in ``text_bert``.

    Raises
    ------
    DatasetError
        If the folder is something else, or rows hold NaN: with all of them.

    Notes
    -----
    Arrays are mapped into memory: a row is read when it is decoded.
    """
    if text not in ("text", "text_bert"):
        raise ValueError(f"`text` must be 'text' or 'text_bert'; got {text!r}.")
    columns = [labels] if isinstance(labels, str) else list(labels)
    findings = Findings(CONVERTED, folder, on_error)
    arrays = Arrays(Folder(folder))
    entries: list[Entry] = []
    try:
        for part, fields in _index(arrays.folder).items():
            entries += _entries(part, fields, columns, arrays, findings)
    except UnreadableError as error:
        findings.whole.append(Problem(INDEX, str(error)))
    if not entries:
        findings.whole.append(Problem(INDEX, "no row can be read"))
    findings.settle()
    words = Tokens(arrays) if text == "text_bert" else Sequences(arrays, "text")
    modalities: dict[str, Modality] = {
        "text": words,
        "audio": Sequences(arrays, "audio"),
        "vision": Sequences(arrays, "vision"),
    }
    return RawDataset(_numbered(entries), modalities, findings, "regression", grouped=True)


class Arrays:
    """Arrays of a converted file, each mapped into memory when it is first needed.

    Parameters
    ----------
    folder : Folder
    """

    def __init__(self, folder: Folder):
        self.folder = folder
        self._open: dict[str, Tensor] = {}

    def get(self, part: str, name: str) -> Tensor:
        """Array of a part, float32.

        Raises
        ------
        UnreadableError
            If it is not there, or is something else.
        """
        file = f"{part}.{name}.safetensors"
        if file not in self._open:
            try:
                with safe_open(self.folder.file(file, ARRAY_LIMIT), framework="pt") as opened:
                    self._open[file] = opened.get_tensor(name)
            except (SafetensorError, OSError, UnreadableError) as error:
                raise UnreadableError(f"{file}: {printable(str(error))}") from error
            if self._open[file].dtype != torch.float32:
                raise UnreadableError(f"{file}: it is not float32")
        return self._open[file]

    def has(self, part: str, name: str) -> bool:
        """Whether a part has an array; a link that leads nowhere is one that can not be read."""
        return os.path.lexists(self.folder.path / f"{part}.{name}.safetensors")

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a row, which is that of the first part."""
        part = next(part for part in PARTS if self.has(part, name))
        return tuple(self.get(part, name).shape[1:])

    def check(self, part: str, rows: int, columns: Sequence[str]) -> None:
        """Look that all arrays of a part have its rows, and features the shape of other parts.

        Raises
        ------
        UnreadableError
        """
        dimensions = dict.fromkeys(FEATURES, 3) | dict.fromkeys(columns, 1)
        others = {"text_bert": 3, "audio_lengths": 1, "vision_lengths": 1}
        dimensions |= {name: n for name, n in others.items() if self.has(part, name)}
        for name, n in dimensions.items():
            came = tuple(self.get(part, name).shape)
            if len(came) != n or came[0] != rows:
                raise UnreadableError(f"part {part!r} has {rows} ids, but {name} of shape {came}")
            if came[1:] != self.shape(name) or (name == "text_bert" and came[1] != 3):
                raise UnreadableError(
                    f"part {part!r} has {name} of shape {came}, expected is "
                    f"{(rows, *self.shape(name))}: as in the other parts"
                )

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "_open": {}}


class Sequences(Modality):
    """Sequences ``(L, D)`` with lengths.

    Parameters
    ----------
    arrays : Arrays
    name : str
        Of the array.
    """

    def __init__(self, arrays: Arrays, name: str):
        self.arrays, self.name = arrays, name

    def load(self, source: tuple[str, int]) -> Tensor | None:
        """Tokens that exist, ``(length, D)``; None if there is none."""
        part, number = source
        x = self.arrays.get(part, self.name)[number]
        length = self._length(part, number, len(x))
        if not torch.isfinite(x[:length]).all():
            raise UnreadableError(f"{part}/{self.name}: row {number} holds NaN or infinity")
        return x[:length].clone() if length else None

    def together(self, values: Sequence[Any], tokenizer: Tokenizer | None = None) -> Features:
        """Sequences ``(B, L, D)``, and which tokens exist."""
        L, D = self.arrays.shape(self.name)
        x, exists = torch.zeros(len(values), L, D), torch.ones(len(values), L, dtype=torch.bool)
        for i, value in enumerate(values):
            if value is not None:
                x[i, : len(value)] = value
                exists[i, len(value) :] = False
        return Features(x, exists)

    def _length(self, part: str, number: int, L: int) -> int:
        if self.name == "text":
            if not self.arrays.has(part, "text_bert"):
                return L
            length = float(self.arrays.get(part, "text_bert")[number, 1].sum())
        elif self.arrays.has(part, f"{self.name}_lengths"):
            length = float(self.arrays.get(part, f"{self.name}_lengths")[number])
        else:
            return L
        if not (length.is_integer() and 0 <= length <= L):
            raise UnreadableError(
                f"{part}/{self.name}: row {number} has length {length:g}; there are {L} tokens"
            )
        return int(length)


class Tokens(Modality):
    """Tokens of BERT: numbers, mask and segments, ``(3, L)``.

    Parameters
    ----------
    arrays : Arrays
    """

    def __init__(self, arrays: Arrays):
        self.arrays = arrays

    def load(self, source: tuple[str, int]) -> Tensor:
        """Numbers, mask and segments, int64."""
        part, number = source
        x = self.arrays.get(part, "text_bert")[number]
        whole = (
            torch.isfinite(x).all() and (x == x.round()).all() and ((x >= 0) & (x < 2**24)).all()
        )
        if not whole or not (x[1] <= 1).all() or not x[1].any():
            raise UnreadableError(f"{part}/text_bert: row {number} holds no tokens")
        return x.long()

    def together(self, values: Sequence[Any], tokenizer: Tokenizer | None = None) -> Features:
        """Fields ``(B, L)`` with the names of transformers."""
        x = torch.stack(list(values))
        return Features(
            {"input_ids": x[:, 0], "attention_mask": x[:, 1], "token_type_ids": x[:, 2]}
        )


def _run(source: Path, folder: Path, memory: int, seconds: int) -> dict[str, Any]:
    """Have the pickle read by a process of its own, and check what that says."""
    script = Path(__file__).with_name("unpickle.py")
    command = [
        sys.executable,
        "-P",
        str(script),
        str(source),
        str(folder),
        str(memory),
        str(seconds),
    ]
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    try:
        process = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=2 * seconds + 30,  # the processor time is bounded; this is for a stuck disk
            env=os.environ | one_thread,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnreadableError(f"reading it took more than {seconds} s") from None
    if process.returncode != 0:
        why = process.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise UnreadableError(
            f"the process that read it ended with status {process.returncode}, perhaps at its "
            f"limit of {memory / 1e9:.1f} GB and {seconds} s: {printable(' '.join(why))}"
        )
    result = parse_json(process.stdout.decode())
    if "refused" in result:
        bounds = f" (at most {memory / 1e9:.1f} GB and {seconds} s)"
        raise UnreadableError(printable(result["refused"], 500) + bounds)
    return result


def _index(folder: Folder) -> dict[str, Mapping[str, Any]]:
    """Rows of every part, as `convert_mmsa` wrote them."""
    index = read_json(folder.file(INDEX, INDEX_LIMIT))
    if not isinstance(index, dict) or index.get("version") != VERSION:
        raise UnreadableError(f"it is no index of version {VERSION}")
    splits = index.get("splits")
    if not isinstance(splits, dict) or not set(splits) <= set(PARTS):
        raise UnreadableError(f"its parts must be {list(PARTS)}")
    for part, fields in splits.items():
        ids = fields.get("id") if isinstance(fields, dict) else None
        if not isinstance(ids, list) or not all(isinstance(value, str) for value in ids):
            raise UnreadableError(f"part {part!r} has no ids")
    return splits


def _entries(
    part: str,
    fields: Mapping[str, Any],
    columns: Sequence[str],
    arrays: Arrays,
    findings: Findings,
) -> list[Entry]:
    ids = fields["id"]
    arrays.check(part, len(ids), columns)
    targets = torch.stack([arrays.get(part, column) for column in columns], 1)
    entries, seen = [], set()
    for number, (name, y) in enumerate(zip(ids, targets.tolist(), strict=True)):
        why = "label is NaN or infinite" if not all(map(_finite, y)) else ""
        why = f"id {printable(name, 40)!r} stands twice" if name in seen else why
        seen.add(name)
        if why:
            findings.row(Problem(f"{part}/{printable(name, 40)}", why, number))
            continue
        sources = dict.fromkeys(FEATURES, (part, number))
        target = tuple(y) if len(y) > 1 else y[0]
        entries.append(Entry(name, part, number, PARTS[part], target, sources))
    return entries


def _finite(value: float) -> bool:
    return abs(value) < float("inf")


def _numbered(entries: Sequence[Entry]) -> list[Entry]:
    """Entries with the number of their video as group."""
    videos = {entry.id: entry.id.split("$_$")[0] for entry in entries}
    numbers = {video: i for i, video in enumerate(sorted(set(videos.values())))}
    return [replace(entry, group=numbers[videos[entry.id]]) for entry in entries]
