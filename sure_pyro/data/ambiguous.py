"""Targets that can mean two things: how they are told, and in what sentence they are announced.

Every sentence names the other reading and the ``task=`` that asks for it.
"""

import torch
from torch import Tensor

MOST_CLASSES = 20
"""Whole numbers of more values than this are as likely to be counts or amounts as classes."""
MOST_NUMBERS = 100
"""Whole floats of more values than this are plainly a measurement."""


def is_binary(target: Tensor) -> bool:
    """Whether there is nothing but 0 and 1."""
    return bool(((target == 0) | (target == 1)).all())


def is_one_hot(target: Tensor) -> bool:
    """Whether each row of a matrix has a single 1, and else 0."""
    several = target.ndim == 2 and target.shape[1] > 1
    return several and is_binary(target) and bool((target.sum(1) == 1).all())


def could_be_classes(target: Tensor) -> bool:
    """Whether floats ``(B,)`` are the numbers of classes: 0..K-1 or 1..K, each met, two or more.

    More than two classes must be met twice on average: few rows tell little.
    """
    if not _is_whole(target):
        return False
    values = target.unique()
    K = len(values)
    consecutive = bool(values[0] in (0, 1)) and bool(values[-1] - values[0] == K - 1)
    return consecutive and 2 <= K <= MOST_CLASSES and (K == 2 or len(target) >= 2 * K)


def note_on(target: Tensor) -> str | None:
    """Sentence on a target whose task was not given and is open; None where it is plain."""
    if target.dtype == torch.bool and target.ndim == 1:
        return None
    if target.ndim == 2:
        return _note_on_matrix(target)
    if target.is_floating_point():
        return _note_on_floats(target)
    values = len(target.unique())
    if values > MOST_CLASSES or int(target.max()) >= values + (int(target.min()) == 1):
        return (
            f"target of {values} different integers read as classes; "
            "task='regression' reads counts or amounts"
        )
    return None


def _note_on_matrix(target: Tensor) -> str | None:
    if is_one_hot(target):
        return (
            "target with a single 1 in each row read as labels; task='classification' reads "
            f"{target.shape[1]} classes"
        )
    if target.shape[1] > 1:
        return None
    if is_binary(target):
        return (
            "target of one column of 0 and 1 read as a label; task='classification' reads classes"
        )
    return _note_on_numbers(target)


def _note_on_floats(target: Tensor) -> str | None:
    if not could_be_classes(target):
        return _note_on_numbers(target)
    values = len(target.unique())
    return (
        f"target of {values} different whole floats read as classes; task='regression' reads "
        "numbers"
    )


def _note_on_numbers(target: Tensor) -> str | None:
    values = len(target.unique()) if _is_whole(target) else MOST_NUMBERS + 1
    if values > MOST_NUMBERS:
        return None
    return (
        f"target of {values} different whole floats read as numbers; task='classification' reads "
        "classes"
    )


def _is_whole(target: Tensor) -> bool:
    return bool((target == target.round()).all())
