"""Classes by name: rows that number them in one way, for whoever numbers them in another.

Two files number the same classes differently as soon as one of them holds no row of a class, or
sorts them otherwise. So whatever reads targets next to a model's outputs takes the rows through
`aligned` first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.store import LatentStore
from sure_pyro.data.task import num_outputs, target_of

Names = tuple[str, ...]


def aligned(
    batch: Batch,
    *,
    task: str,
    outputs: int,
    names: Sequence[str] | None = None,
    argument: str = "batch",
    whose: str = "the model",
) -> Batch:
    """Number classes, or order the columns of labels, as a model does; by their names.

    Parameters
    ----------
    batch : Batch
        With targets.
    task : str
        Of the model.
    outputs : int
        C: its classes, labels or values.
    names : sequence of str, optional
        Of its classes or labels, in its order; their numbers, ``"0", "1", ...``, if None.
    argument, whose : str
        What the rows are called, and whom they must fit, in messages.

    Returns
    -------
    Batch
        The one that came where nothing is to be changed. A class that no row has may be unknown,
        or lacking; a label may not.

    Raises
    ------
    ValueError
        If there are no targets, or the task, the number of outputs or the names do not fit.
    """
    target = target_of(batch, argument)
    if batch.task != task:
        raise ValueError(
            f"`{argument}` must have the task of {whose}, {task!r}; got {batch.task!r}, with a "
            f"target of {target.dtype} {tuple(target.shape)}. Give the targets that {whose} was "
            "made for, or say `task=` when the rows are loaded."
        )
    C = num_outputs(batch)
    if task != "classification" and names is None and batch.class_names is None and outputs != C:
        raise ValueError(
            f"`{argument}` must have the {outputs} outputs of {whose}; its target has {C}."
        )
    known, own = tuple(names or _numbers(outputs)), batch.class_names or _numbers(C)
    if task == "regression" or known == own:
        return batch
    change = _renumbered if task == "classification" else _reordered
    return batch._with(target=change(target, own, known, argument, whose), class_names=known)


def aligned_with(train: Batch | LatentStore, batch: Batch, argument: str = "validation") -> Batch:
    """Number the classes of a batch as the training rows do.

    Raises
    ------
    ValueError
        As `aligned`, or if the modalities differ.
    """
    if batch.modalities != train.modalities:
        raise ValueError(
            f"`{argument}` must have the modalities of `train`, {train.modalities}, in this order; "
            f"got {batch.modalities}. Cut both from one dataset with `data.split(seed=0)`."
        )
    target_of(train)
    return aligned(
        batch,
        task=str(train.task),
        outputs=num_outputs(train),
        names=train.class_names,
        argument=argument,
        whose="`train`",
    )


def _renumbered(target: Tensor, own: Names, known: Names, argument: str, whose: str) -> Tensor:
    """Classes (B,) in the numbers of `known`."""
    unknown = {name: int((target == k).sum()) for k, name in enumerate(own) if name not in known}
    met = {name: rows for name, rows in unknown.items() if rows}
    if met:
        rows = ", ".join(f"{n} of {name!r}" for name, n in met.items())
        raise ValueError(
            f"`{argument}` must have the class_names of {whose}, {known}; got {own}, with rows of "
            f"classes that are unknown there: {rows}. {_advice(own, known)}"
        )
    number = [known.index(name) if name in known else -1 for name in own]
    return torch.tensor(number, device=target.device)[target]


def _reordered(target: Tensor, own: Names, known: Names, argument: str, whose: str) -> Tensor:
    """Labels (B, C) in the order of `known`."""
    lacking = [name for name in known if name not in own]
    unknown = [name for name in own if name not in known]
    if lacking or unknown:
        told = [f"{what} {n}" for what, n in (("without", lacking), ("with unknown", unknown)) if n]
        raise ValueError(
            f"`{argument}` must have the labels of {whose}, {known}; got {own}, "
            f"{' and '.join(told)}. {_advice(own, known)}"
        )
    return target[:, [own.index(name) for name in known]]


def _numbers(count: int) -> Names:
    return tuple(str(k) for k in range(count))


def _advice(own: Names, known: Names) -> str:
    if _numbers(len(own)) == own or _numbers(len(known)) == known:
        return (
            "Here names stand against plain numbers: where class k is the same in both, say so by "
            "`rows.replace(class_names=...)`, with the names of the other; otherwise load both "
            "with their names."
        )
    return "Correct the names, leave such rows or columns out, or train on rows that have them."
