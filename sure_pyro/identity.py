"""What makes two runs the same: settings as JSON, and their digest.

A finished cell of a comparison is taken for another one, and a checkpoint for that of a run, only
if nothing differs that their numbers depend on. Data are known by their bytes, each read once, at
about 1 GB/s; a function by its name, its source, its defaults and what it closes over. What such a
function calls is not looked into: give it another name when that changes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import numpy as np
import torch

from sure_pyro.data import Batch
from sure_pyro.data.store import LatentStore

Settings = dict[str, Any]
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def digest(settings: Any) -> str:
    """Twelve hexadecimal digits that stand for settings."""
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def identity(value: Any) -> Any:
    """Turn a setting into JSON that differs where the setting does."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): identity(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [identity(item) for item in value]
    if isinstance(value, torch.Tensor):
        return of_tensor(value)
    if isinstance(value, np.ndarray):
        return of_array(value)
    if isinstance(value, Batch):
        return of_batch(value)
    if isinstance(value, LatentStore):  # by its checksums: no row is read
        return [[shard.sha256 for shard in value.manifest.shards], of_tensor(value.source)]
    if isinstance(value, torch.nn.Module):
        return {"module": type(value).__name__, **identity(value.state_dict())}
    if callable(value):
        return _of_function(value)
    known = getattr(value, "__dict__", None) or ADDRESS.sub("", repr(value))
    return [type(value).__qualname__, identity(known)]


def of_batch(batch: Batch) -> str:
    """Digest of everything that a batch holds."""
    fields = {key: value for key, value in batch.__dict__.items()}
    return digest({key: identity(value) for key, value in fields.items()})


def _of_function(function: Callable) -> Any:
    if isinstance(function, functools.partial):
        return [identity(function.func), identity(function.args), identity(function.keywords)]
    function = inspect.unwrap(function)
    if not inspect.isfunction(function):  # a class, a built-in, or an object with __call__
        known = None if inspect.isclass(function) else getattr(function, "__dict__", None)
        return [getattr(function, "__qualname__", type(function).__qualname__), identity(known)]
    closure = [_enclosed(cell) for cell in function.__closure__ or ()]
    name = f"{function.__module__}.{function.__qualname__}"
    return [name, _source(function), identity(function.__defaults__ or ()), closure]


def _source(function: Callable) -> Any:
    """What is written of a function; of a lambda what it does, since its line holds more."""
    if function.__name__ != "<lambda>":
        with contextlib.suppress(OSError):  # typed at a prompt
            return inspect.getsource(function)
    return _of_code(function.__code__)


def _of_code(code: CodeType) -> list[Any]:
    inside = [_of_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code.hex(), inside, list(code.co_names)]


def _enclosed(cell: Any) -> Any:
    """What a function closes over; another function by name only, it may close over this one."""
    try:
        value = cell.cell_contents
    except ValueError:  # not bound yet
        return None
    return value.__qualname__ if inspect.isfunction(value) else identity(value)


def of_tensor(x: torch.Tensor) -> str:
    """Digest of a tensor of any dtype and layout; of one without numbers ("meta"), its shape."""
    if x.is_meta:
        return _of_bytes(f"meta {x.dtype}", tuple(x.shape), np.zeros(0, np.uint8))
    x = x.detach()
    x = x.dequantize() if x.is_quantized else x
    x = (x if x.layout == torch.strided else x.to_dense()).cpu().contiguous()
    plain = x.reshape(-1).view(torch.uint8).numpy()  # NumPy knows no bfloat16
    return _of_bytes(str(x.dtype).removeprefix("torch."), tuple(x.shape), plain)


def of_array(x: np.ndarray) -> Any:
    """Digest of an array; objects one by one."""
    if x.dtype.hasobject:
        return identity(x.tolist())
    x = np.ascontiguousarray(x)
    return _of_bytes(str(x.dtype), x.shape, x.reshape(-1).view(np.uint8))


def _of_bytes(kind: str, shape: tuple[int, ...], plain: np.ndarray) -> str:
    """Digest of numbers where they lie: nothing is copied."""
    found = hashlib.sha256(f"{kind}{shape}".encode())
    found.update(plain.data)
    return found.hexdigest()[:16]
