"""From a model and masks to one tidy table: every metric of the registry on every slice."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.evaluation.hidden import Hidden, hidden_latents
from sure_pyro.evaluation.observed import Observed
from sure_pyro.evaluation.pairs import Pairs
from sure_pyro.evaluation.predicted import Predicted
from sure_pyro.evaluation.slices import KINDS, slices
from sure_pyro.metrics import METRICS, compute
from sure_pyro.models import SURE

COLUMNS = ["kind", "slice", "rows", "metric", "value"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One model on masked rows.

    Parameters
    ----------
    table : DataFrame
        Tidy: ``kind, slice, rows, metric, value``; see `slices` and `sure_pyro.metrics.METRICS`.
    predicted : Predicted
        Of all N masked rows.
    hidden : dict of Hidden
        Reconstructions of what was hidden, by modality; empty where a model reconstructs nothing.
    seconds : float
        That the prediction took.
    """

    table: pd.DataFrame
    predicted: Predicted
    hidden: Mapping[str, Hidden]
    seconds: float


def evaluate(model: Any, masked: MaskedRows, simulation_seed: int = 0, **options) -> Evaluation:
    """Predict masked rows and score the predictions and the reconstructions.

    Parameters
    ----------
    model : SURE or anything with its `predict`
        Reconstructions are scored where it has `encode` as well.
    masked : MaskedRows
        With targets.
    simulation_seed : int
        Of the simulated attainable correlations.
    **options
        Of ``model.predict``.
    """
    start = time.perf_counter()
    rows = masked if isinstance(model, SURE) else masked.batch  # encoders run once per row
    prediction = model.predict(rows, **options)
    seconds = time.perf_counter() - start
    predicted, hidden = Predicted.of(prediction), {}
    if hasattr(model, "encode") and prediction.reconstruction:
        hidden = hidden_latents(model, masked, prediction.reconstruction)
    return Evaluation(score(predicted, masked, hidden, simulation_seed), predicted, hidden, seconds)


def evaluate_filling(model: SURE, masked: MaskedRows, fill: str) -> Evaluation:
    """The same of the pretrained model with gaps filled by ``"zero"`` or ``"mean"``: a baseline."""
    start = time.perf_counter()
    output = model.pretrained(masked.batch, fill)
    seconds = time.perf_counter() - start
    predicted = Predicted.of_pretrained(output, str(masked.batch.task))
    return Evaluation(score(predicted, masked), predicted, {}, seconds)


def score(
    predicted: Predicted,
    masked: MaskedRows,
    hidden: Mapping[str, Hidden] | None = None,
    seed: int = 0,
    *,
    names: Collection[str] | None = None,
    kinds: Collection[str] = KINDS,
) -> pd.DataFrame:
    """The table of predictions and reconstructions: see `Evaluation`.

    With `names` and `kinds` of some metrics and slices only.
    """
    observed, pattern = Observed.of(masked.batch), masked.pattern
    pairs, lines = Pairs.of(hidden or {}, pattern, seed), []
    for kind, name, rows in slices(masked):
        if kind not in kinds:
            continue
        arrays = observed[rows].arrays(predicted[rows], pattern[rows])
        found = pairs.of_rows(rows) | compute(arrays, names=names)
        where = {"kind": kind, "slice": name, "rows": int(rows.sum())}
        lines += [where | {"metric": m, "value": found[m]} for m in METRICS if m in found]
    return pd.DataFrame(lines, columns=COLUMNS)
