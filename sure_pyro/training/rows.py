"""The rows of a fit: numbered as the model numbers their classes, and enough to choose by."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch

from sure_pyro.data import Batch
from sure_pyro.data.classes import aligned, aligned_with
from sure_pyro.data.store import LatentStore
from sure_pyro.models import SURE, Latents
from sure_pyro.models.stored import StoredLatents

STORED_VALIDATION = 20_000  # rows of a store that are held in memory
VALIDATION_ROWS = 600  # few rows are repeated under other masks, so as not to hang on one draw


class Rows(NamedTuple):
    """Training rows, and validation rows in memory."""

    train: Batch | LatentStore
    validation: Batch


def rows_of(
    model: SURE,
    train: Batch | LatentStore,
    validation: Batch | LatentStore | None,
    supervised: bool,
    seed: int,
) -> Rows:
    """Cut off validation rows where there are none, and number the classes alike.

    Parameters
    ----------
    supervised : bool
        Whether targets are looked at.

    Raises
    ------
    ValueError
        If classes do not fit the model's; see `sure_pyro.data.classes`.
    """
    if validation is None:
        train, validation = train.split((0.8, 0.2), seed=seed)
    held_out = _in_memory(validation, seed)
    if model.initialized and not supervised and train.target is None:
        return Rows(train, held_out)
    if isinstance(train, LatentStore):
        if model.initialized:
            _check_numbered(model, train)
    elif model.initialized:
        train = aligned(
            train,
            task=model.head.task,
            outputs=model.head.mean.out_features,
            names=model.class_names,
            argument="train",
        )
    return Rows(train, aligned_with(train, held_out))


def repeated(latents: Latents) -> Latents:
    """Validation rows, several times where they are few."""
    return latents[torch.arange(len(latents)).repeat(-(-VALIDATION_ROWS // len(latents)))]


def check_trainable(latents: Latents | StoredLatents) -> None:
    """Refuse rows from which no reconstruction can be learnt."""
    if not (latents.present.sum(-1) >= 2).any():
        raise ValueError(
            "No row of `train` has two modalities, so there is nothing to hide and to learn from. "
            "Reconstruction needs rows in which modalities occur together."
        )


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seed the global generators for a while, and leave them as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _in_memory(validation: Batch | LatentStore, seed: int) -> Batch:
    """Of a store, as many rows as choose an epoch as well as all do."""
    if not isinstance(validation, LatentStore):
        return validation
    draw = torch.Generator().manual_seed(seed)
    return validation.batch(torch.randperm(len(validation), generator=draw)[:STORED_VALIDATION])


def _check_numbered(model: SURE, store: LatentStore) -> None:
    """Refuse a store whose classes are not numbered as the model's: what is on disk stays so."""
    if (store.task, store.class_names) != (model.head.task, model.class_names):
        raise ValueError(
            f"`train` is a store for {store.task} with the class_names {store.class_names}; the "
            f"model is for {model.head.task} with {model.class_names}. Fit a new model, or encode "
            "rows that are numbered as the model's."
        )
