"""Evaluation masks: drawn once by a seed, kept with the result, the same for every model.

Masks that are redrawn at every evaluation make results irreproducible, and comparisons unfair. What
is kept is the `available` of a batch that a generator of `sure_pyro.data.missing` made.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from sure_pyro.data.batch import Batch
from sure_pyro.data.files import read_arrays, write_arrays

RECORDED = "recorded:"


@dataclass(frozen=True, eq=False)
class EvaluationMasks:
    """What is visible in an evaluation, and how it came about.

    Attributes
    ----------
    available : bool Tensor, shape ``(B, M)``
    modalities : tuple of str
        Names of its columns.
    seed : int
        With which the masks were drawn.
    description : str
        How, such as ``"mcar(rate=0.3)"``.
    recorded : dict of bool Tensor, shapes ``(B, *event_i)``
        Only where masks reach inside a modality.
    """

    available: Bool[Tensor, "B M"]
    modalities: tuple[str, ...]
    seed: int
    description: str
    recorded: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, batch: Batch, seed: int, description: str) -> "EvaluationMasks":
        """Masks of a batch whose availability a generator has lowered."""
        recorded = {name: mask.cpu() for name, mask in batch.recorded.items()}
        return cls(batch.available.cpu(), batch.modalities, int(seed), description, recorded)

    def apply(self, batch: Batch) -> Batch:
        """Hide in this batch what the masks hide; it must have the rows they were drawn for.

        Raises
        ------
        ValueError
            If modalities or number of rows differ, or a row loses all that it has.
        """
        if batch.modalities != self.modalities or len(batch) != len(self.available):
            raise ValueError(
                f"The masks are for {len(self.available)} rows of {self.modalities}; "
                f"the batch has {len(batch)} rows of {batch.modalities}."
            )
        device = batch.available.device
        recorded = {name: mask.to(device) for name, mask in self.recorded.items()}
        return batch.restrict(self.available.to(device), recorded)


def save_masks(path: str | Path, masks: EvaluationMasks) -> None:
    """Write masks as ``.npz``: available, modalities, seed, description; no pickle.

    Parameters
    ----------
    path : path
        Its folder must exist; a file of this name is replaced at once.
    masks : EvaluationMasks
    """
    arrays = {
        "available": masks.available.numpy(),
        "modalities": np.array(masks.modalities),
        "seed": np.array(masks.seed),
        "description": np.array(masks.description),
    }
    arrays |= {RECORDED + name: mask.numpy() for name, mask in masks.recorded.items()}
    write_arrays(path, arrays)


def load_masks(path: str | Path) -> EvaluationMasks:
    """Read what `save_masks` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds something else.
    """
    arrays = read_arrays(path)
    lacking = {"available", "modalities", "seed", "description"} - set(arrays)
    if lacking or arrays["available"].dtype != np.bool_:
        raise ValueError(f"{path} holds no evaluation masks; it has {list(arrays)}.")
    return EvaluationMasks(
        torch.from_numpy(arrays["available"]),
        tuple(str(name) for name in arrays["modalities"]),
        int(arrays["seed"]),
        str(arrays["description"]),
        {
            key.removeprefix(RECORDED): torch.from_numpy(mask)
            for key, mask in arrays.items()
            if key.startswith(RECORDED)
        },
    )
