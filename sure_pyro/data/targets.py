"""Targets: which task they mean, and whether they fit it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sure_pyro.data.validate import TASKS, rows_in_words

Names = tuple[str, ...] | None


def infer_task(target: Tensor) -> str:
    """Task that a target of this kind means by default.

    Integers ``(B,)`` are classes; a matrix ``(B, C)`` of nothing but 0 and 1 is multi-label;
    everything else is regression.
    """
    if target.ndim == 2 and bool(((target == 0) | (target == 1)).all()):
        return "multilabel"
    if target.ndim == 1 and not target.is_floating_point():
        return "classification"
    return "regression"


def check_target(
    target: Any, num_rows: int, device: torch.device, task: str | None, class_names: Any
) -> tuple[Tensor | None, str | None, Names]:
    """Target, task and class names of a batch.

    Returns
    -------
    target : Tensor or None
    task : str or None
        Inferred by `infer_task` where it was None.
    class_names : tuple of str or None
        ``("0", "1", ...)`` up to the largest class where none were given for classes.

    Raises
    ------
    TypeError
        If the kind of numbers does not fit the task.
    ValueError
        If shape, range or names do not fit it, or values are NaN or infinite.
    """
    if task is not None and task not in TASKS:
        raise ValueError(f"`task` must be one of {TASKS}; got {task!r}.")
    names = _check_class_names(class_names)
    if target is None:
        return None, task, names
    _check_shape(target, num_rows, device)
    task = task or infer_task(target)
    if task == "classification":
        return target, task, _check_classes(target, names)
    _check_real(target, task)
    if task == "multilabel":
        _check_labels(target, names)
    elif names is not None:
        raise ValueError(f"`class_names` {names} were given, but the task is regression.")
    return target, task, names


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


def _check_classes(target: Tensor, names: Names) -> tuple[str, ...]:
    if target.dtype != torch.int64 or target.ndim != 1:
        raise TypeError(
            "Classes must be an int64 `target` of shape (rows,); "
            f"got {target.dtype} {tuple(target.shape)}."
        )
    K = int(target.max()) + 1 if names is None else len(names)
    outside = (target < 0) | (target >= K)
    if outside.any():
        raise ValueError(
            f"`target` must lie in 0..{K - 1} ({K} classes); it lies outside in "
            f"{rows_in_words(outside)}, the first being {int(target[outside][0])}."
        )
    return names or tuple(str(k) for k in range(K))


def _check_real(target: Tensor, task: str) -> None:
    if not target.is_floating_point():
        raise TypeError(f"`target` must be floating point for {task}; got {target.dtype}.")
    bad = ~torch.isfinite(target).reshape(len(target), -1).all(1)
    if bad.any():
        raise ValueError(f"`target` is NaN or infinite in {rows_in_words(bad)}.")


def _check_labels(target: Tensor, names: Names) -> None:
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
