"""What makes two runs the same: settings as JSON, and their digest.

A finished cell is taken for another one only if nothing differs that its numbers depend on. Data
are known by their bytes; a function by its name, its source, its defaults and what it closes over.
What such a function calls is not looked into: give it another name, or another `out`, when that
changes.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from sure_pyro.data import Batch

Settings = dict[str, Any]


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
        return _bytes(value.detach().cpu().numpy())
    if isinstance(value, np.ndarray):
        return _bytes(value)
    if isinstance(value, Batch):
        return of_batch(value)
    if isinstance(value, torch.nn.Module):
        return {"module": type(value).__name__, **identity(value.state_dict())}
    if callable(value):
        return _of_function(value)
    return [type(value).__qualname__, identity(getattr(value, "__dict__", None) or repr(value))]


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
    try:
        source = inspect.getsource(function)
    except OSError:  # typed at a prompt
        source = function.__code__.co_code.hex() + repr(function.__code__.co_consts)
    closure = [_enclosed(cell) for cell in function.__closure__ or ()]
    name = f"{function.__module__}.{function.__qualname__}"
    return [name, source, identity(function.__defaults__ or ()), closure]


def _enclosed(cell: Any) -> Any:
    """What a function closes over; another function by name only, it may close over this one."""
    try:
        value = cell.cell_contents
    except ValueError:  # not bound yet
        return None
    return value.__qualname__ if inspect.isfunction(value) else identity(value)


def _bytes(array: np.ndarray) -> str:
    array = np.ascontiguousarray(array)
    head = f"{array.dtype}{array.shape}".encode()
    return hashlib.sha256(head + array.tobytes()).hexdigest()[:16]
