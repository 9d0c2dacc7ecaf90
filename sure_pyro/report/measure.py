"""Score one fitted model on the evaluation masks, slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Shaped

from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.evaluation import hidden_latents, score
from sure_pyro.evaluation.hidden import Hidden
from sure_pyro.evaluation.observed import Observed
from sure_pyro.evaluation.pairs import Pairs
from sure_pyro.evaluation.predicted import Predicted
from sure_pyro.evaluation.slices import OVERALL, RANDOM, hidden_slices
from sure_pyro.metrics import bootstrap_interval, metric
from sure_pyro.metrics.bootstrap import Interval
from sure_pyro.models import SURE, Prediction
from sure_pyro.propagation import Moments, cross_check
from sure_pyro.report.evidence import METHOD_NAMES, Propagation, Slice, Task
from sure_pyro.report.reconstruction import independent_errors, measure_uncertainty

METHODS = tuple(METHOD_NAMES)
FILLINGS = ("full", "zero", "mean", "swapped")
SECOND = {"classification": "f1", "multilabel": "f1", "regression": "rmse"}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one model predicts under the evaluation masks, and what was observed.

    Parameters
    ----------
    prediction : Prediction
        Of all N masked rows, by all methods.
    predicted : dict of Predicted
        By method (``"none"``, ``"taylor"``, ``"sampling"``); and of the pretrained model with
        nothing hidden (``"full"``; what is truly absent is filled by its mean), with gaps filled by
        ``"zero"``, by the ``"mean"``, by the reconstruction (``"swapped"``).
    observed : Observed
    hidden : dict of Hidden
        By modality.
    pairs : Pairs
        The same, scored.
    """

    prediction: Prediction
    predicted: Mapping[str, Predicted]
    observed: Observed
    hidden: Mapping[str, Hidden]
    pairs: Pairs

    def nll(self, method: str, pattern: np.ndarray) -> Float[np.ndarray, " N"]:
        """Negative log-likelihood of every row, in nats."""
        return nll_rows(self.observed, self.predicted[method], pattern)


def observe(model: SURE, masked: MaskedRows, *, num_samples: int, seed: int) -> Outcome:
    """Predict all masked rows by both methods, and by the pretrained model with three fillings."""
    prediction = model.predict(masked, "both", num_samples=num_samples, seed=seed)
    task = str(masked.batch.task)
    outputs = {
        "full": model.pretrained(masked.complete, "mean")[torch.from_numpy(masked.row)],
        "zero": model.pretrained(masked.batch, "zero"),
        "mean": model.pretrained(masked.batch, "mean"),
        "swapped": model.pretrained(masked.batch, "reconstruction"),
    }
    predicted = {name: Predicted.of_pretrained(y, task) for name, y in outputs.items()}
    predicted |= {method: Predicted.of(prediction, method) for method in METHODS}
    hidden = hidden_latents(model, masked, prediction.reconstruction)
    pairs = Pairs.of(hidden, masked.pattern, seed)
    return Outcome(prediction, predicted, Observed.of(masked.batch), hidden, pairs)


def measure(outcome: Outcome, masked: MaskedRows, *, seed: int) -> dict[str, Slice]:
    """Everything on each size of the mask, and over all masks that hide something."""
    names, kinds = ("score", "f1", "rmse", "nll", "aurc"), (OVERALL, "hidden")
    tables = {
        name: _by_slice(score(p, masked, names=names, kinds=kinds))
        for name, p in outcome.predicted.items()
    }
    independent = independent_errors(outcome.hidden, masked.pattern, seed)
    return {
        name: Slice(
            name,
            int(rows.sum()),
            _task(outcome, {key: t.loc[name] for key, t in tables.items()}, masked, rows, seed),
            measure_uncertainty(outcome.pairs, independent, rows),
            _propagation(outcome, {m: tables[m].loc[name] for m in METHODS}, masked, rows, seed),
        )
        for name, rows in hidden_slices(masked).items()
    }


def _by_slice(table: pd.DataFrame) -> pd.DataFrame:
    """One line for each number of hidden modalities and for all masks that hide something."""
    names = table["slice"].where(table["kind"] != OVERALL, RANDOM)
    return table.assign(slice=names).pivot(index="slice", columns="metric", values="value")


def _task(
    outcome: Outcome,
    values: Mapping[str, pd.Series],
    masked: MaskedRows,
    rows: Bool[np.ndarray, " N"],
    seed: int,
) -> Task:
    task = outcome.observed.task
    answers = {name: name for name in FILLINGS} | {"sure": "taylor"}
    loss = {key: outcome.observed.loss(outcome.predicted[n])[rows] for key, n in answers.items()}

    def gain(better: str, worse: str) -> Interval:
        return paired(loss[worse] - loss[better], masked.unit[rows], seed)

    second = SECOND[task]
    return Task(
        score=metric("score").label_for(task),
        second_score=metric(second).label,
        second={key: float(values[name][second]) for key, name in answers.items()},
        **{key: float(values[name]["score"]) for key, name in answers.items()},
        loss=gain("full", "zero"),
        gain_zero=gain("sure", "zero"),
        gain_mean=gain("sure", "mean"),
        gain_swapped=gain("swapped", "mean"),
    )


def _propagation(
    outcome: Outcome,
    values: Mapping[str, pd.Series],
    masked: MaskedRows,
    rows: Bool[np.ndarray, " N"],
    seed: int,
) -> Propagation:
    unit = masked.unit[rows]
    nll = {method: outcome.nll(method, masked.pattern)[rows] for method in METHODS}
    index = torch.from_numpy(np.flatnonzero(rows))
    taylor, sampled = (outcome.prediction.moments[m][index] for m in ("taylor", "sampling"))
    words = cross_check(taylor, sampled).verdicts["total"]
    total = taylor.variance.sum()
    return Propagation(
        nll={method: float(values[method]["nll"]) for method in METHODS},
        aurc={method: float(values[method]["aurc"]) for method in METHODS},
        taylor=paired(nll["taylor"] - nll["none"], unit, seed),
        sampling=paired(nll["sampling"] - nll["none"], unit, seed),
        between=paired(nll["sampling"] - nll["taylor"], unit, seed),
        verdicts={word: words.count(word) for word in dict.fromkeys(words)},
        ratio=_ratio(_from_missing(taylor), _from_missing(sampled)),
        shares={name: float(s2.sum() / total) for name, s2 in taylor.sources.items()},
    )


def nll_rows(
    observed: Observed, predicted: Predicted, pattern: Shaped[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    """Negative log-likelihood of every row, in nats; for several outputs or labels their mean."""
    return metric("nll").of(observed.arrays(predicted, pattern))


def paired(
    difference: Float[np.ndarray, " n"], unit: Shaped[np.ndarray, " n"], seed: int
) -> Interval:
    """Mean difference per row with its 90 % bootstrap interval; units are drawn whole."""
    return bootstrap_interval(np.mean, difference, groups=unit, seed=seed)


def _from_missing(moments: Moments) -> float:
    return float((moments.variance - moments.sources["head"]).sum())


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else 1.0
