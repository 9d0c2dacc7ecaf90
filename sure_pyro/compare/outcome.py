"""What one model says under the evaluation masks, as plain arrays: all that is scored."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from sure_pyro.calibrated.arrays import as_float64
from sure_pyro.calibrated.hidden import Hidden, hidden_latents
from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.models import SURE


@dataclass(frozen=True, eq=False)
class Outcome:
    """Answers for the N rows of `MaskedRows.batch`.

    Parameters
    ----------
    mean : ndarray, shape (N, C)
        Of a regression target, in its units; the logits otherwise.
    variance : ndarray, shape (N, C), optional
        Total predictive variance; None where a model states none.
    probabilities : ndarray, shape (N, K), optional
        Of classes or labels.
    hidden : dict of Hidden
        Reconstructions of what was hidden, by modality; empty where a model reconstructs nothing.
    seconds : float
        That the prediction took.
    """

    mean: Float[np.ndarray, "N C"]
    variance: Float[np.ndarray, "N C"] | None = None
    probabilities: Float[np.ndarray, "N K"] | None = None
    hidden: Mapping[str, Hidden] = field(default_factory=dict)
    seconds: float = 0.0


def observe(model: Any, masked: MaskedRows, **options) -> Outcome:
    """Predict the masked rows.

    Parameters
    ----------
    model : SURE or anything with its `predict`
        Reconstructions are scored where it has `encode` as well.
    masked : MaskedRows
    **options
        Of ``model.predict``.
    """
    start = time.perf_counter()
    rows = masked if isinstance(model, SURE) else masked.batch  # encoders run once per row
    prediction = model.predict(rows, **options)
    seconds = time.perf_counter() - start
    p = prediction.probabilities.get(prediction.roads[0])
    hidden = {}
    if hasattr(model, "encode") and prediction.reconstruction:
        hidden = hidden_latents(model, masked, prediction.reconstruction)
    return Outcome(
        as_float64(prediction.mean),
        as_float64(prediction.total),
        None if p is None else as_float64(p),
        hidden,
        seconds,
    )


def observe_filling(model: SURE, masked: MaskedRows, fill: str) -> Outcome:
    """What the pretrained model says when gaps are filled with zero or the mean: a baseline.

    It states no variance, so what needs one is left out; its probabilities are those of its logits.
    """
    start = time.perf_counter()
    output = model.pretrained(masked.batch, fill)
    seconds = time.perf_counter() - start
    task, p = masked.batch.task, None
    if task == "classification":
        p = as_float64(torch.softmax(output, -1))
    elif task == "multilabel":
        p = as_float64(torch.sigmoid(output))
    return Outcome(as_float64(output), None, p, {}, seconds)
