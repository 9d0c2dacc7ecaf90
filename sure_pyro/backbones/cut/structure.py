"""Tensors inside what networks return: tuples, lists, dictionaries, dataclasses, nested."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor


def children(value: Any) -> list[tuple[Any, Any]]:
    """Keys and parts of a container that outputs are made of; nothing for any other object."""
    if isinstance(value, Mapping):  # dictionaries, and the output classes of Hugging Face
        return list(value.items())
    if isinstance(value, tuple | list):
        return list(enumerate(value))
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    return []


def tensors(value: Any, at: tuple = ()) -> Iterator[tuple[tuple, Tensor]]:
    """Every tensor of a structure, with the keys that lead to it."""
    if isinstance(value, Tensor):
        yield at, value
    for key, part in children(value):
        yield from tensors(part, (*at, key))


def part_at(value: Any, at: tuple) -> Any:
    """Follow the keys that `tensors` gives."""
    for key in at:
        value = dict(children(value))[key]
    return value


def by_index(value: Any, at: tuple) -> tuple:
    """Keys in which fields of named tuples are the indices that `tensors` gives.

    Raises
    ------
    KeyError
        If the keys lead nowhere.
    """
    found: list[Any] = []
    for key in at:
        names = getattr(value, "_fields", ())
        found.append(names.index(key) if key in names else key)
        value = part_at(value, (found[-1],))
    return tuple(found)


def mapped(fn: Callable[[tuple, Tensor], Any], value: Any, at: tuple = ()) -> Any:
    """Build the same structure with every tensor replaced by ``fn(keys, tensor)``."""
    if isinstance(value, Tensor):
        return fn(at, value)
    parts = {key: mapped(fn, part, (*at, key)) for key, part in children(value)}
    if not parts:
        return value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*parts.values())
    if isinstance(value, tuple | list):
        return type(value)(parts.values())
    if is_dataclass(value) and not isinstance(
        value, type
    ):  # the output classes of Hugging Face are dataclasses and mappings
        return type(value)(**{str(key): part for key, part in parts.items()})
    made = value.copy() if hasattr(value, "copy") else dict(value)
    for key, part in parts.items():
        made[key] = part
    return made


def described(value: Any) -> str:
    """Say what a structure is made of, for error messages."""
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    names = getattr(value, "_fields", None)
    parts = zip(names, value, strict=True) if names else children(value)
    inside = ", ".join(f"{key!r}: {described(part)}" for key, part in parts)
    return f"{type(value).__name__} of {{{inside}}}" if inside else type(value).__name__
