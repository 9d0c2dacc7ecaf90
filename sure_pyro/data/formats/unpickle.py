"""Arrays and texts out of a pickle, without running anything that stands in it.

Run as a script, in a process of its own, by `sure_pyro.data.formats.mmsa`:

    python unpickle.py SOURCE FOLDER MEMORY SECONDS

A pickle is a program. The unpickler here knows no names but those by which numpy writes arrays, and
even these stand for inert objects of this file: not one function of numpy is called by the pickle.
Arrays are made afterwards, from bytes whose number fits their shape. The process may neither use
more than `MEMORY` bytes and `SECONDS` of processor time, nor start another one. It writes the
arrays to safetensors, and says on its standard output, in JSON, what it wrote or why it did not.

It imports nothing of sure_pyro, so that little is loaded and the limits can be low.
"""

import json
import math
import pickle
import re
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

SPLITS = ("train", "valid", "test")
FEATURES = ("text", "audio", "vision")
LENGTHS = ("audio_lengths", "vision_lengths")
TEXTS = ("id", "raw_text", "annotations")
LABELS = re.compile(r"(regression|classification)_labels(_[MTAV])?")
DTYPES = re.compile(r"[fiu][1248]|b1|[US]\d{1,5}|O8?")
MAX_ROWS = 10**6
MAX_TEXT = 10**5  # characters


class RefusedError(Exception):
    """Why the file is not taken."""


# -- what stands for the names of numpy -----------------------------------------------------------


class Array:
    """An array, as it stands in the pickle."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise RefusedError("an array has another form than numpy gives it")
        self.state = state[1:]  # shape, dtype, whether in Fortran's order, data


class Dtype:
    """A dtype, as it stands in the pickle."""

    __slots__ = ("order", "text")

    def __init__(self, text: Any):
        self.text, self.order = text, "|"

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2:
            raise RefusedError("a dtype has another form than numpy gives it")
        self.order = state[1]


class MakeArray:
    """``numpy._core.multiarray._reconstruct``."""

    __slots__ = ()

    def __call__(self, *arguments: Any) -> Array:
        """Array whose state follows."""
        return Array()


class MakeArrayOfBytes:
    """``numpy._core.numeric._frombuffer``."""

    __slots__ = ()

    def __call__(self, data: Any, dtype: Any, shape: Any, order: Any) -> Array:
        """Array of a buffer."""
        array = Array()
        array.state = (shape, dtype, order == "F", data)
        return array


class MakeScalar:
    """``numpy._core.multiarray.scalar``: an array without dimensions."""

    __slots__ = ()

    def __call__(self, dtype: Any, data: Any) -> Array:
        """Array of one number."""
        array = Array()
        array.state = ((), dtype, False, data)
        return array


class MakeDtype:
    """``numpy.dtype``."""

    __slots__ = ()

    def __call__(self, text: Any, *arguments: Any) -> Dtype:
        """Dtype of a text such as ``f4``."""
        return Dtype(text)


class MakeBytes:
    """``_codecs.encode``, by which old protocols write bytes."""

    __slots__ = ()

    def __call__(self, text: Any, encoding: Any = None) -> bytes:
        """Bytes of a text in Latin-1."""
        if not isinstance(text, str) or encoding != "latin1":
            raise RefusedError("bytes have another form than pickle gives them")
        return text.encode("latin1")


class Name:
    """``numpy.ndarray``, which is only handed on."""

    __slots__ = ()


KNOWN = {
    ("numpy", "ndarray"): Name(),
    ("numpy", "dtype"): MakeDtype(),
    ("_codecs", "encode"): MakeBytes(),
}
for core in ("numpy.core", "numpy._core"):
    KNOWN[f"{core}.multiarray", "_reconstruct"] = MakeArray()
    KNOWN[f"{core}.multiarray", "scalar"] = MakeScalar()
    KNOWN[f"{core}.numeric", "_frombuffer"] = MakeArrayOfBytes()


class ClosedUnpickler(pickle.Unpickler):
    """Knows the names in `KNOWN`, and no others."""

    def find_class(self, module: str, name: str) -> Any:
        """Stand-in of a name."""
        try:
            return KNOWN[module, name]
        except KeyError:
            raise RefusedError(
                f"it asks for {ascii(f'{module}.{name}')[:100]}, which is no part of an array"
            ) from None


# -- from stand-ins to arrays ---------------------------------------------------------------------


def to_numpy(value: Any, what: str) -> np.ndarray:
    """Array of a stand-in, or of a list of numbers or texts."""
    if isinstance(value, list):
        return _of_list(value, what)
    if not isinstance(value, Array) or not hasattr(value, "state"):
        raise RefusedError(f"{what} must be an array; got {type(value).__name__}")
    shape, dtype, fortran, data = value.state
    kind = _dtype(dtype, what)
    count = _count(shape, what)
    if kind == "O":
        if not isinstance(data, list) or len(data) != count:
            raise RefusedError(f"{what} has {count} objects by its shape, and others by its data")
        return _of_list(data, what).reshape(shape)
    if not isinstance(data, bytes | bytearray) or len(data) != count * np.dtype(kind).itemsize:
        raise RefusedError(f"{what} has another number of bytes than its shape {shape} needs")
    return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")


def _dtype(dtype: Any, what: str) -> str:
    known = (
        isinstance(dtype, Dtype) and isinstance(dtype.text, str) and dtype.order in tuple("<>|=")
    )
    if not known or not DTYPES.fullmatch(dtype.text):
        raise RefusedError(f"{what} has no dtype of numbers or texts")
    return "O" if dtype.text.startswith("O") else dtype.order.replace("|", "<") + dtype.text


def _count(shape: Any, what: str) -> int:
    if not isinstance(shape, tuple) or len(shape) > 4:
        raise RefusedError(f"{what} has no shape of at most four dimensions")
    if not all(type(n) is int and 0 <= n < 2**40 for n in shape):
        raise RefusedError(f"{what} has a shape that can not be")
    return math.prod(shape)


def _of_list(values: list, what: str) -> np.ndarray:
    values = [_plain(value, what) for value in values]
    kinds = {type(value) for value in values}
    if not kinds <= {str} and not kinds <= {int, float}:
        raise RefusedError(
            f"{what} must hold texts or numbers; got {sorted(k.__name__ for k in kinds)}"
        )
    return np.array(values, dtype=object if kinds == {str} else np.float64)


def _plain(value: Any, what: str) -> str | int | float:
    """A text or number, also out of an array of one."""
    if isinstance(value, Array):
        array = to_numpy(value, what)
        if array.size != 1:
            raise RefusedError(f"{what} must hold texts or numbers; got an array")
        value = array.reshape(-1)[0]
        value = value if isinstance(value, str) else value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8")
    if type(value) not in (str, int, float) or (isinstance(value, str) and len(value) > MAX_TEXT):
        raise RefusedError(f"{what} must hold texts or numbers; got {type(value).__name__}")
    if isinstance(value, int) and abs(value) > 2**53:
        raise RefusedError(f"{what} holds a number that is too large")
    return value


# -- what is taken of the file --------------------------------------------------------------------


def convert(data: Any, folder: Path) -> dict[str, Any]:
    """Write what is known of the file, and say what."""
    if not isinstance(data, dict) or not any(split in data for split in SPLITS):
        raise RefusedError(f"it must be a dictionary with {SPLITS}")
    parts, minus_infinity, ignored = {}, 0, set()
    for split in SPLITS:
        if split not in data:
            continue
        part = data.pop(split)
        if not isinstance(part, dict) or not all(isinstance(key, str) for key in part):
            raise RefusedError(f"{split!r} must be a dictionary with names")
        texts = _texts(part, split)
        rows, replaced = _write_arrays(part, split, folder)
        parts[split] = {"rows": rows, **_same_rows(texts, rows, split)}
        minus_infinity += replaced
        ignored |= {key for key in part if not _is_known(key)}
    return {
        "splits": parts,
        "minus_infinity": minus_infinity,
        "ignored": sorted(ascii(key)[1:-1][:40] for key in list(ignored)[:100]),
    }


def _is_known(key: str) -> bool:
    known = key in (*FEATURES, *LENGTHS, *TEXTS, "text_bert")
    return known or LABELS.fullmatch(key) is not None


def _texts(part: dict, split: str) -> dict[str, list[str]]:
    if "id" not in part:
        raise RefusedError(f"{split!r} has no 'id'")
    texts = {}
    for key in TEXTS:
        if key in part:
            what = f"{split}/{key}"
            array = to_numpy(part[key], what)
            texts[key] = [str(_plain(value, what)) for value in array.reshape(-1).tolist()]
    return texts


def _same_rows(texts: dict[str, list[str]], rows: int, split: str) -> dict[str, list[str]]:
    wrong = {key: len(values) for key, values in texts.items() if len(values) != rows}
    if wrong:
        raise RefusedError(f"{split!r} has {rows} rows, but of texts {wrong}")
    return texts


def _write_arrays(part: dict, split: str, folder: Path) -> tuple[int, int]:
    """Write each array to a file of its own, so that no more than one is in memory twice."""
    rows: dict[str, int] = {}
    minus_infinity = 0
    for key in list(part):
        if not _is_known(key) or key in TEXTS:
            continue
        array = _numbers(part.pop(key), key, f"{split}/{key}")
        if key == "audio":
            infinite = np.isneginf(array)  # of a logarithm of silence; MMSA reads them as 0
            minus_infinity += int(infinite.sum())
            array = np.where(infinite, np.float32(0), array)
        rows[key] = len(array)
        save_file({key: np.ascontiguousarray(array)}, folder / f"{split}.{key}.safetensors")
    if len(set(rows.values())) != 1 or not 0 < next(iter(rows.values())) <= MAX_ROWS:
        raise RefusedError(f"the arrays of {split!r} must have the same number of rows; got {rows}")
    return next(iter(rows.values())), minus_infinity


def _numbers(value: Any, key: str, what: str) -> np.ndarray:
    array = to_numpy(value, what)
    if array.dtype.kind not in "fiub":
        raise RefusedError(f"{what} must hold numbers; got {array.dtype}")
    if key in FEATURES or key == "text_bert":
        if array.ndim != 3 or 0 in array.shape:
            raise RefusedError(f"{what} must have three dimensions; got shape {array.shape}")
        return _single(array)
    if array.ndim not in (1, 2) or array.size != len(array):
        raise RefusedError(f"{what} must have one number a row; got shape {array.shape}")
    return _single(array.reshape(-1))


def _single(array: np.ndarray) -> np.ndarray:
    """In single precision; what is too large becomes infinite, and is named when it is read."""
    with np.errstate(over="ignore", invalid="ignore"):
        return array.astype(np.float32)


# -- the process ----------------------------------------------------------------------------------


def limit(memory: int, seconds: int) -> None:
    """Bound what this process may use, from now on."""
    bounds = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_FSIZE: memory,
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 32,
    }
    for kind, bound in bounds.items():
        hard = resource.getrlimit(kind)[1]
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(kind, (bound, bound))


def take(source: Path, folder: Path) -> dict[str, Any]:
    """Convert a file; what it was turned into, or why it was not."""
    try:
        with open(source, "rb") as file:
            data = ClosedUnpickler(file).load()
        return convert(data, folder)
    except RefusedError as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"refused": "it needs more memory than it may use"}
    except Exception as error:  # an unpickler raises whatever it stumbles over
        why = f"{type(error).__name__}: {ascii(str(error))[1:-1][:200]}"
        return {"refused": f"it can not be read: {why}"}


if __name__ == "__main__":
    limit(int(sys.argv[3]), int(sys.argv[4]))
    json.dump(take(Path(sys.argv[1]), Path(sys.argv[2])), sys.stdout)
