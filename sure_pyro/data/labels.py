"""Targets as they come: numbers, or names that become classes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sure_pyro.data.reading import read_complete
from sure_pyro.data.words import check_names, names_of


def read_target(
    x: Any, task: str | None = None, class_names: Sequence[str] | None = None
) -> tuple[Tensor, Sequence[str] | None]:
    """Numbers of a target, and its class names.

    Text and categories become classes. Their names are those of `class_names`, in that order, or
    the categories, or else the sorted texts.

    Raises
    ------
    TypeError, ValueError
        If the target has missing values, mixes text and numbers, or is neither; if a name is not
        among `class_names`; or if names are to be anything but classes.
    """
    names = names_of(x)
    if names is None:
        return read_complete(x, "`target`"), class_names
    check_names(names, "`target`")
    if task not in (None, "classification"):
        raise ValueError(
            f"`target` holds names, such as {names[0]!r}, which are classes and no {task}. "
            "Give numbers, or leave `task` out."
        )
    known = _known(x, names) if class_names is None else [str(name) for name in class_names]
    return _codes([str(name) for name in names], known), known


def _known(x: Any, names: np.ndarray) -> list[str]:
    dtype = getattr(x, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        check_names(np.asarray(dtype.categories, dtype=object), "`target`")
        return [str(name) for name in dtype.categories]
    return sorted(set(names))


def _codes(names: list[str], known: list[str]) -> Tensor:
    number = {name: k for k, name in enumerate(known)}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(
            f"`target` has the classes {unknown[:5]}, not among `class_names` {known}."
        )
    return torch.tensor([number[name] for name in names])
