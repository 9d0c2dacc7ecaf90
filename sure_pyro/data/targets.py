"""Targets: which task they mean, and whether they fit it.

Where the numbers alone leave it open (floats that might be classes, integers that might be counts),
the reading is one of a few plain rules, is announced by the batch, and gives way to ``task=``.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sure_pyro.data.ambiguous import could_be_classes, is_binary, note_on
from sure_pyro.data.narrow import narrowed
from sure_pyro.data.validate import TASKS, rows_in_words

Names = tuple[str, ...] | None
MOST_UNSEEN = 1000
"""Numbers from here on are taken for classes only if at least half of those below are met."""


class Target(NamedTuple):
    """Target in the numbers that its task needs, and how it was read if that was open."""

    values: Tensor | None
    task: str | None
    class_names: Names
    note: str | None = None


def infer_task(target: Tensor) -> str:
    """Task that a target of this kind means by default.

    Integers and booleans ``(B,)`` are classes, and so are floats that are the whole numbers from 0
    or 1 to at most 20, each of them met; a matrix ``(B, C)`` of nothing but 0 and 1 is multi-label;
    everything else is regression.
    """
    if target.ndim == 2:
        return "multilabel" if is_binary(target) else "regression"
    if not target.is_floating_point() or could_be_classes(target):
        return "classification"
    return "regression"


def check_target(
    target: Any,
    num_rows: int,
    device: torch.device,
    task: str | None,
    class_names: Any,
    floating: torch.dtype = torch.float32,
) -> Target:
    """Target, task and class names of a batch.

    Parameters
    ----------
    target : Tensor or None
        Shape ``(B,)`` or ``(B, C)``. With ``task="classification"`` also whole floats, a column
        ``(B, 1)``, or one-hot rows.
    num_rows, device
        Of the features.
    task : str or None
        Inferred by `infer_task` where it is None.
    class_names : sequence of str or None
    floating : torch.dtype
        What integers become where the task needs floating values.

    Returns
    -------
    Target
        Its class names are ``("0", "1", ...)`` up to the largest class where none were given for
        classes, ``("1", ...)`` where there is no class 0 (classes are then numbered from 0), and
        ``("False", "True")`` for booleans.

    Raises
    ------
    TypeError
        If it is no tensor.
    ValueError
        If shape, range or names do not fit the task, or values are NaN or infinite.
    """
    if task is not None and task not in TASKS:
        raise ValueError(f"`task` must be one of {TASKS}; got {task!r}.")
    names = _check_class_names(class_names)
    if target is None:
        return Target(None, task, names)
    _check_shape(target, num_rows, device)
    if target.is_floating_point():
        _refuse(~torch.isfinite(target), "is NaN or infinite")
    note = note_on(target) if task is None else None
    task = task or _inferred(target)
    if task == "classification":
        return _as_classes(target, names, note)
    if task == "multilabel":
        return Target(_as_labels(target, names, floating), task, names, note)
    if names is not None:
        raise ValueError(f"`class_names` {names} were given, but the task is regression.")
    if not target.is_floating_point():
        target = narrowed(target, floating, "`target`")
    return Target(target, task, None, note)


def _inferred(target: Tensor) -> str:
    task = infer_task(target)
    if task == "regression" and not target.is_floating_point():
        raise ValueError(
            f"An integer `target` of shape {tuple(target.shape)} is neither classes (shape "
            "(rows,)) nor labels (0 and 1): flatten it, or say `task='regression'`."
        )
    return task


def _refuse(bad: Tensor, what: str) -> None:
    rows = bad.reshape(len(bad), -1).any(1)
    if rows.any():
        raise ValueError(f"`target` {what} in {rows_in_words(rows)}.")


def _check_class_names(class_names: Sequence[str] | None) -> Names:
    if class_names is None:
        return None
    names = tuple(str(name) for name in class_names)
    if len(set(names)) < len(names) or not names:
        raise ValueError(f"`class_names` must be different names, at least one; got {names}.")
    return names


def _check_shape(target: Any, num_rows: int, device: torch.device) -> None:
    if not isinstance(target, Tensor):
        raise TypeError(f"`target` must be a tensor; got {type(target).__name__}.")
    if target.ndim not in (1, 2) or len(target) != num_rows or target.numel() == 0:
        raise ValueError(
            f"`target` must have shape ({num_rows},) or ({num_rows}, outputs); "
            f"got {tuple(target.shape)}."
        )
    if target.device != device:
        raise ValueError(f"`target` is on {target.device}, the features are on {device}.")


def _as_classes(target: Tensor, names: Names, note: str | None) -> Target:
    """Class numbers (B,) from 0, and what the classes are called."""
    y = _class_numbers(target)
    if names is None:
        names, first = _default_names(target, y)
        y = y - first
        if first:
            note = note or "target read as classes; task='regression' reads numbers"
            note = note.replace("classes", f"classes named '1' to {names[-1]!r}", 1)
    K = len(names)
    outside = (y < 0) | (y >= K)
    if outside.any():
        raise ValueError(
            f"`target` must lie in 0..{K - 1} ({K} classes); it lies outside in "
            f"{rows_in_words(outside)}, the first being {int(y[outside][0])}. Number the classes "
            "from 0, or give their names as the target."
        )
    return Target(y, "classification", names, note)


def _default_names(target: Tensor, y: Tensor) -> tuple[tuple[str, ...], int]:
    """Names of the classes, and the number of the first."""
    if target.ndim == 2 and target.shape[1] > 1:
        return tuple(str(k) for k in range(target.shape[1])), 0
    if target.dtype == torch.bool:
        return ("False", "True"), 0
    largest, found = int(y.max()), len(y.unique())
    if largest >= max(MOST_UNSEEN, 2 * found):
        raise ValueError(
            f"`target` read as classes would be {largest + 1:,} of them, of which {found:,} are "
            "met. Say `task='regression'` if these are counts or amounts; give codes as text."
        )
    first = int(bool((y >= 1).all()))  # people who count from 1 have no class 0
    return tuple(str(k) for k in range(first, largest + 1)) or ("0",), first


def _class_numbers(target: Tensor) -> Tensor:
    """Class numbers (B,) as given, out of whole numbers, a column of them, or one-hot rows."""
    if target.ndim == 2 and target.shape[1] > 1:
        _refuse(
            ((target != 0) & (target != 1)).any(1) | (target.sum(1) != 1),
            "has several columns, which are classes if each row has a single 1 and else 0; not so",
        )
        return target.to(torch.int64).argmax(1)
    y = target.reshape(-1)
    if y.is_floating_point():
        _refuse(y != y.round(), "has digits after the point, and so holds no classes,")
    return y.to(torch.int64)


def _as_labels(target: Tensor, names: Names, floating: torch.dtype) -> Tensor:
    if target.ndim != 2:
        raise ValueError(
            f"Multi-label `target` must have shape (rows, labels); got {tuple(target.shape)}."
        )
    bad = ~((target == 0) | (target == 1)).all(1)
    if bad.any():
        raise ValueError(
            f"Multi-label `target` must hold 0 and 1 only; it does not in {rows_in_words(bad)}."
        )
    if names is not None and len(names) != target.shape[1]:
        raise ValueError(f"`class_names` must name {target.shape[1]} labels; got {names}.")
    return target if target.is_floating_point() else target.to(floating)
