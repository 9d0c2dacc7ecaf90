"""Rows beside a model or a prediction: checked that they fit, and their classes numbered alike."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Shaped
from torch import Tensor

from sure_pyro.data import Batch
from sure_pyro.data.classes import aligned
from sure_pyro.data.store import LatentStore
from sure_pyro.data.store.store import in_memory
from sure_pyro.evaluation.arrays import as_array
from sure_pyro.metrics import mask_pattern
from sure_pyro.models import SURE, Prediction


def rows_for(model: SURE, batch: Batch | LatentStore, argument: str = "validation") -> Batch:
    """Rows whose classes or labels are numbered as the model numbers them; of a store, all of it.

    Rows without targets come back as they are: who needs them says so.

    Raises
    ------
    ValueError
        If the model is not fitted, or modalities, task, outputs or names do not fit.
    """
    if not model.initialized:
        raise ValueError("The model is not fitted: call `sp.fit(model, train, val)` first.")
    rows = in_memory(batch)
    _check_modalities(rows, model.backbone.modalities, argument)
    if rows.target is None:
        return rows
    head, names = model.head, model.class_names
    return aligned(
        rows, task=head.task, outputs=head.mean.out_features, names=names, argument=argument
    )


def rows_of(prediction: Prediction, batch: Batch) -> Batch:
    """The batch that was predicted, classes or labels numbered as in the prediction.

    Raises
    ------
    ValueError
        If the batch has no targets or is another one, or its task, outputs or names do not fit.
    """
    _check_modalities(batch, prediction.modalities, "batch")
    pattern_in(prediction, batch.available)
    C = len(prediction.outputs)
    unnamed = prediction.outputs == tuple(f"y{c}" for c in range(C))
    names = None if unnamed else prediction.outputs
    return aligned(batch, task=prediction.task, outputs=C, names=names)


def target_in(prediction: Prediction, batch: Batch) -> np.ndarray:
    """Targets of the batch that was predicted; raises as `rows_of` does."""
    target = rows_of(prediction, batch).target
    assert target is not None
    return as_array(target)


def pattern_in(
    prediction: Prediction, available: Tensor | Bool[np.ndarray, "B M"] | None = None
) -> Shaped[np.ndarray, " B"]:
    """Mask pattern of every row; `available` must be what the prediction was made with.

    Raises
    ------
    ValueError
        If it is not.
    """
    own = prediction.available.cpu().numpy()
    if available is not None:
        given = available.cpu().numpy() if isinstance(available, Tensor) else np.asarray(available)
        if given.shape != own.shape or (given != own).any():
            raise ValueError(
                f"`available` {given.shape} is not what the prediction was made with, {own.shape}: "
                "pass `batch.available` of the batch that was predicted, or leave it out."
            )
    return mask_pattern(own, prediction.modalities)


def _check_modalities(batch: Batch, modalities: tuple[str, ...], argument: str) -> None:
    if batch.modalities != modalities:
        raise ValueError(
            f"`{argument}` must have the modalities of the model, {modalities}, in this order; "
            f"got {batch.modalities}."
        )


def check_took(prediction: Prediction, method: str) -> None:
    """Refuse a prediction that did not take the method of the fit."""
    if method not in prediction.moments:
        raise ValueError(
            f"The fit is of the method {method!r}; this prediction took "
            f"{list(prediction.methods)}. "
            f"Use `model.predict(batch, propagate={method!r})`."
        )
