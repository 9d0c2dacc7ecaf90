"""What a target asks of a model."""

from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.store import LatentStore


def target_of(batch: Batch | LatentStore, argument: str = "train") -> Tensor:
    """Target of a batch that must have one.

    Raises
    ------
    ValueError
        If it has none.
    """
    if batch.target is None:
        raise ValueError(f"`{argument}` has no targets: give `target` to `sp.from_arrays`.")
    return batch.target


def num_outputs(batch: Batch | LatentStore) -> int:
    """C: one logit per class, or one output per column of the target."""
    target = target_of(batch)
    if batch.task == "classification":
        return len(batch.class_names or ())
    return 1 if target.ndim == 1 else target.shape[1]
