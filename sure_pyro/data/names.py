"""Names that a modality can not have, because the library uses them itself beside the modalities.

A name that meant two things would be found late: as a source of variance that is added up twice, a
column that overwrites another, two mask patterns with one label. So it is refused when a batch is
built, before anything is trained.
"""

from collections.abc import Iterable
from typing import Any

SOURCES = ("head", "weights", "total", "interaction", "joint")
COLUMNS = ("y", "target", "rows")
PATTERNS = ("nothing",)
ARRAYS = ("modalities", "split", "group", "class_names", "task", "version")
RESERVED = {
    **dict.fromkeys(SOURCES, "a source of variance"),
    **dict.fromkeys(COLUMNS, "the target and the columns of tables"),
    **dict.fromkeys(PATTERNS, "the mask pattern of rows without any modality"),
    **dict.fromkeys(ARRAYS, "an array of its files"),
}
SEPARATORS = {
    "+": "joins the modalities of a mask pattern, as in 'image+text'",
    "/": "parts names in tables and files",
}
PREFIXES = ("padding:", "fields:", "available:", "recorded:")
SUFFIXES = ("_observed", "_unobserved", "_row", "_entry")
"""What Pyro and the ArviZ export add to the site of a modality."""


def check_modality_names(names: Iterable[Any]) -> None:
    """Raise unless modalities can have these names.

    Raises
    ------
    TypeError
        If a name is no text, or empty.
    ValueError
        If a name is taken by the library, holds a separator, or is that of another modality with
        an ending that the library adds. The message proposes another.
    """
    known = list(names)
    for name in known:
        _check_text(name, "Modality names")
        if name in RESERVED:
            _refuse(name, f"the library uses it for {RESERVED[name]}")
        _check_separators(name)
        begins = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if begins is not None:
            _refuse(name, f"files use {begins!r} for the masks beside a modality")
        base = next((name.removesuffix(s) for s in SUFFIXES if name.endswith(s)), name)
        if base != name and base in known:
            _refuse(name, f"the library calls something of {base!r} so")


def check_field_names(names: Iterable[Any], modality: str) -> None:
    """Raise unless the fields of a modality can have these names; see `check_modality_names`."""
    for name in names:
        _check_text(name, f"Names of the fields of modality {modality!r}")
        _check_separators(name)


def _check_text(name: Any, what: str) -> None:
    if not isinstance(name, str) or not name.strip():
        proposal = "" if isinstance(name, str) else f" For instance {str(name)!r}."
        raise TypeError(f"{what} must be non-empty strings; got {name!r}.{proposal}")


def _check_separators(name: str) -> None:
    for separator, use in SEPARATORS.items():
        if separator in name:
            _refuse(name, f"{separator!r} {use}")


def _refuse(name: str, why: str) -> None:
    free = name
    for separator in (*SEPARATORS, ":"):
        free = free.replace(separator, "_")
    free = f"{name}_input" if free == name else free
    raise ValueError(
        f"No modality or field can be called {name!r}: {why}. Rename it, for instance {free!r}."
    )
