"""Inputs of the readers, spoilt at random: small true files in which bytes, values or files change.

The store of latents is among the readers: it may be copied from elsewhere as well as a dataset. The
checksum in its manifest is made right again every other time, so that what lies behind is reached.

Every input follows from a seed and a number, so that one that went wrong can be made again.
"""

import json
import os
import pickle
import random
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

import sure_pyro
from sure_pyro.data.formats import (
    DatasetError,
    convert_mmsa,
    read_mm_imdb,
    read_mmact,
    read_mmsa,
    read_mosi,
    unpickle,
)
from sure_pyro.data.formats.errors import UnreadableError
from sure_pyro.data.formats.folder import Folder
from sure_pyro.data.store import LatentStore, row_blocks
from sure_pyro.data.store.manifest import _digest
from tests.data.formats import small

WORDS = [
    b"nan", b"inf", b"-1", b"1e999", b"9" * 60, b"0x10", b"1_0", b"", b" ", b"../", b"/etc/passwd",
    b"..", b"\0", b'"', b"'", b"\n", b"\r", b",", b";", b"{", b"}", b"[" * 50, b"]", b"null",
    b"true", b"{}", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe4", b"\\ud800", b"\\u0000",
    b"\xf0\x9f\x98\x80", b"x" * 5000,
]  # fmt: skip
NUMBERS = [
    0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63,
]  # fmt: skip

VALUES = [
    None, True, False, 0, -1, 1, 2, 1.5, 1e308, 2**31, 2**63, 10**40, "", "x", "../x", "/etc/x",
    "a\0b", "\ud800", "x" * 2000, [], {}, [[]], [1], ["a", "a"], {"x": 1}, [None], float("nan"),
]  # fmt: skip


@dataclass(frozen=True)
class Target:
    """A reader with a small true dataset.

    Attributes
    ----------
    make : callable
        Writes the dataset into a folder.
    read : callable
        Opens it and decodes every row: ``read(folder, on_error)``.
    mend : callable, optional
        Makes the checksum within a file right again, which would hide the rest: ``mend(path)``.
    """

    make: Callable[[Path], object]
    read: Callable[[Path, str], object]
    mend: Callable[[Path], object] | None = None


def _decode(data, tokenizer=None):
    rows = data[:]
    if rows:
        batch = data.to_batch(rows, tokenizer)
        assert len(batch) == len(rows) <= len(data)
    return rows


def _read_mosi(folder, on_error):
    return _decode(
        read_mosi(folder, context=True, seconds=0.02, on_error=on_error), small.tokenizer
    )


def _read_mm_imdb(folder, on_error):
    return _decode(read_mm_imdb(folder, resize=24, crop=16, on_error=on_error), small.tokenizer)


def _read_raw_mm_imdb(folder, on_error):
    options = {"resize": 24, "crop": 16, "on_error": on_error}
    return _decode(read_mm_imdb(folder, missing_files="absent", **options), small.tokenizer)


def _read_mmact(folder, on_error):
    return _decode(read_mmact(folder, resize=24, crop=16, windows=4, frames=2, on_error=on_error))


def _read_mmsa(folder, on_error):
    rows = _decode(read_mmsa(folder, on_error=on_error))
    return rows, _decode(read_mmsa(folder, text="text_bert", on_error=on_error))


def _make_mm_imdb(folder):
    _shrink(small.mm_imdb(folder))


def _make_raw_mm_imdb(folder):
    _shrink(small.mm_imdb_raw(folder))


def _shrink(folder):
    """Pictures of a fifth of the size, which are decoded faster."""
    for path in folder.glob("dataset/*.jpeg"):
        with Image.open(path) as picture:
            picture.resize((picture.width // 5, picture.height // 5)).save(path)


def _make_mmact(folder):
    """Takes of two people; those of the others are left out."""
    small.mmact(folder)
    for other in ("subject2", "subject17"):
        for path in folder.glob(f"*/{other}"):
            shutil.rmtree(path)


def _make_mmsa(folder):
    (folder / "x.pkl").write_bytes(pickle.dumps(small.mmsa_data()))
    convert_mmsa(folder / "x.pkl", folder / "converted")
    (folder / "x.pkl").unlink()
    for path in (folder / "converted").iterdir():
        path.rename(folder / path.name)
    (folder / "converted").rmdir()


def _make_pickle(folder):
    for protocol in (2, 4, 5):
        (folder / f"{protocol}.pkl").write_bytes(pickle.dumps(small.mmsa_data(), protocol))


def _read_pickle(folder, on_error):
    """What the process of the converter does, in this one."""
    for source in sorted(folder.glob("*.pkl")):
        out = folder / "out"
        try:
            path = Folder(folder).file(source.name, 10**9)
        except UnreadableError as error:
            raise RefusedError(str(error)) from error
        out.mkdir()
        said = unpickle.take(path, out)
        shutil.rmtree(out)
        if "refused" in said:
            raise RefusedError(said["refused"])


def _make_store(folder):
    draw = torch.Generator().manual_seed(0)
    text, audio = torch.randn(9, 3, 2, generator=draw), torch.randn(9, 4, generator=draw)

    def encode(rows):
        there = torch.tensor([row % 3 != 1 for row in rows])
        return {
            "values": {"text": text[rows], "audio": audio[rows]},
            "available": {"audio": there},
            "padding": {"text": torch.arange(3) < 2 + there[:, None]},
            "target": torch.tensor(rows) % 2,
            "group": torch.tensor(rows) // 2,
            "split": ["train" if row < 5 else "test" for row in rows],
        }

    LatentStore.create(
        folder, row_blocks(9, 4), encode, shard_rows=4, class_names=["a", "b"],
        task="classification", fingerprint={"x": 1}, progress_bar=False,
    )  # fmt: skip


def _read_store(folder, on_error):
    """Everything that is asked of a store; its checksums are compared every other time."""
    try:
        store = LatentStore.open(folder, verify=on_error == "error")
        assert len(store.source) == len(store.available) == len(store)
        list(store.blocks(4, shuffle_seed=0))
        parts = store.split(seed=0)
        return [
            store.batch(),
            *(store.select(rows).batch() for rows in store.splits.values()),
        ], parts
    except (ValueError, FileNotFoundError) as error:
        last = traceback.extract_tb(error.__traceback__)[-1].filename
        if not last.startswith(str(Path(sure_pyro.__file__).parent)):
            raise  # by chance of the right kind: no words of ours
        raise RefusedError(str(error)) from error


def _mend_manifest(path):
    try:
        state = json.loads(path.read_text())
        del state["digest"]
        path.write_text(json.dumps(state | {"digest": _digest(state)}))
    except (ValueError, KeyError, TypeError, RecursionError):
        pass  # a shard, or spoilt beyond that


class RefusedError(Exception):
    """A pickle or store that is not taken."""


TARGETS = {
    "CMU-MOSI": Target(small.mosi, _read_mosi),
    "MM-IMDB": Target(_make_mm_imdb, _read_mm_imdb),
    "MM-IMDB as given out": Target(_make_raw_mm_imdb, _read_raw_mm_imdb),
    "MMAct": Target(_make_mmact, _read_mmact),
    "MMSA pickle": Target(_make_pickle, _read_pickle),
    "MMSA converted": Target(_make_mmsa, _read_mmsa),
    "store of latents": Target(_make_store, _read_store, _mend_manifest),
}


@dataclass(frozen=True)
class Outcome:
    """What became of an input.

    Attributes
    ----------
    kind : {"accepted", "refused", "failed"}
        Read, refused in words of the reader, or ended by another exception.
    seconds : float
    why : str
        What was changed, and the exception.
    """

    kind: str
    seconds: float
    why: str


class Fuzzer:
    """Spoils copies of one small dataset, one after the other.

    Parameters
    ----------
    target : str
        Name out of `TARGETS`.
    folder : Path
        Empty.
    seed : int
    """

    def __init__(self, target: str, folder: Path, seed: int = 0):
        self.name, self.target, self.seed = target, TARGETS[target], seed
        self.folder = folder / "data"
        self.folder.mkdir()
        self.target.make(self.folder)
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        self.files = {path: path.read_bytes() for path in paths}

    def attempt(self, number: int) -> Outcome:
        """Make input `number`, read it, and put everything back."""
        rng = random.Random(f"{self.seed} {self.name} {number}")
        kind = rng.choice(sorted({path.suffix for path in self.files}))  # tables are few
        path = rng.choice(sorted(path for path in self.files if path.suffix == kind))
        start = time.perf_counter()
        try:
            what = self._spoil(path, rng)
            start = time.perf_counter()
            kind, why = self._read(rng.choice(("error", "skip")))
            seconds = time.perf_counter() - start
        finally:
            self._restore(path)
        return Outcome(kind, seconds, f"{path.relative_to(self.folder)}: {what}; {why}")

    def _read(self, on_error: str) -> tuple[str, str]:
        try:
            self.target.read(self.folder, on_error)
        except (DatasetError, RefusedError) as error:
            return "refused", str(error)
        except Exception as error:
            return "failed", f"{type(error).__name__}: {error}"
        return "accepted", ""

    def _spoil(self, path: Path, rng: random.Random) -> str:
        if rng.random() < 0.05:
            return self._replace(path, rng)
        data, what = bytearray(self.files[path]), []
        deep = path.suffix in (".json", ".jsonl") and rng.random() < 0.5  # it stays JSON
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            change = value if deep else rng.choice(CHANGES)
            data = change(data, rng)
            what.append(change.__name__)
        path.write_bytes(data)
        if self.target.mend is not None and rng.random() < 0.5:
            self.target.mend(path)
            what.append("mended")
        return " ".join(what)

    def _replace(self, path: Path, rng: random.Random) -> str:
        """Something else under the name of a file."""
        path.unlink()
        kind = rng.choice(("nothing", "empty", "folder", "link", "pipe", "another", "noise"))
        if kind == "empty":
            path.touch()
        elif kind == "folder":
            path.mkdir()
        elif kind == "link":
            path.symlink_to(rng.choice(("/etc/passwd", "/dev/zero", path.name, "..", "nowhere")))
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "another":
            path.write_bytes(self.files[rng.choice(sorted(self.files))])
        elif kind == "noise":
            path.write_bytes(rng.randbytes(rng.randrange(1, 5000)))
        return kind

    def _restore(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(self.files[path])


# -- changes of bytes -----------------------------------------------------------------------------


def flip(data: bytearray, rng: random.Random) -> bytearray:
    """One bit."""
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def overwrite(data: bytearray, rng: random.Random) -> bytearray:
    """A few bytes with others."""
    start = rng.randrange(len(data) + 1)
    new = rng.randbytes(rng.choice((1, 2, 4, 16)))
    data[start : start + len(new)] = new
    return data


def number(data: bytearray, rng: random.Random) -> bytearray:
    """A number at the edge of its range, near the front more often than not."""
    size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    start = rng.randrange(min(len(data), rng.choice((40, 200, 10**9))) + 1)
    value = rng.choice(NUMBERS) % 2 ** (8 * size)
    data[start : start + size] = value.to_bytes(size, order)
    return data


def insert(data: bytearray, rng: random.Random) -> bytearray:
    """Noise in between."""
    start = rng.randrange(len(data) + 1)
    data[start:start] = rng.randbytes(rng.choice((1, 3, 100)))
    return data


def delete(data: bytearray, rng: random.Random) -> bytearray:
    """A stretch."""
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice((1, 3, 100, 1000))]
    return data


def cut(data: bytearray, rng: random.Random) -> bytearray:
    """The end."""
    del data[rng.randrange(len(data) + 1) :]
    return data


def repeat(data: bytearray, rng: random.Random) -> bytearray:
    """A stretch again, elsewhere."""
    start = rng.randrange(len(data) + 1)
    piece = data[start : start + rng.choice((4, 50, 500))]
    place = rng.randrange(len(data) + 1)
    data[place:place] = piece * rng.choice((1, 1, 20))
    return data


def blank(data: bytearray, rng: random.Random) -> bytearray:
    """A stretch of zeros."""
    start, size = rng.randrange(len(data) + 1), rng.choice((1, 8, 200))
    data[start : start + size] = bytes(size)
    return data


def word(data: bytearray, rng: random.Random) -> bytearray:
    """A word that means something to a parser, in place of what stands between two marks."""
    marks = [i for i, byte in enumerate(data[:20_000]) if byte in b',\n":{}[] ']
    if len(marks) < 2:
        return insert(data, rng)
    i = rng.randrange(len(marks) - 1)
    data[marks[i] + 1 : marks[i + 1]] = rng.choice(WORDS)
    return data


def value(data: bytearray, rng: random.Random) -> bytearray:
    """A value somewhere in a JSON file, or in a line of it, for another; else a word."""
    whole, lines = [bytes(data)], bytes(data).splitlines() or [b""]
    for pieces, i in ((whole, 0), (lines, rng.randrange(len(lines)))):
        try:
            document = json.loads(pieces[i])
        except (ValueError, RecursionError):
            continue
        pieces[i] = json.dumps(_with_another(document, rng)).encode()
        return bytearray(b"\n".join(pieces))
    return word(data, rng)


def _with_another(document: object, rng: random.Random) -> object:
    """Go down at random, and change what is met there: its value, its name, or that it is there."""
    keys = {dict: list, list: lambda x: range(len(x))}.get(type(document), lambda x: ())(document)
    if not keys or rng.random() < 0.1:
        return rng.choice(VALUES)
    key = rng.choice(keys)
    if rng.random() < 0.1:
        del document[key]
    elif isinstance(document, dict) and rng.random() < 0.1:
        document[rng.choice(("", "x", "../x", "file"))] = document.pop(key)
    else:
        document[key] = _with_another(document[key], rng)
    return document


CHANGES = (flip, overwrite, number, insert, delete, cut, repeat, blank, word, word)
