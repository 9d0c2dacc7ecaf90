"""Score one fitted model on the evaluation masks, slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped

from sure_pyro.calibrated.arrays import as_float64
from sure_pyro.calibrated.hidden import Hidden, hidden_latents
from sure_pyro.calibration import Interval, aurc, bootstrap_interval
from sure_pyro.compare.scorer import Scorer
from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.models import SURE, Prediction
from sure_pyro.propagation import Moments, cross_check
from sure_pyro.report.evidence import Propagation, Slice, Task
from sure_pyro.report.reconstruction import measure_uncertainty

ROADS = ("none", "taylor", "sampling")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one model says under the evaluation masks.

    Parameters
    ----------
    prediction : Prediction
        Of all N masked rows, by all roads.
    answers : dict of ndarray, shapes (N, C)
        On the scale of `Scorer.loss`: of the pretrained model with nothing hidden (``"full"``; what
        is truly absent is filled by its mean), with gaps filled by ``"zero"``, by the ``"mean"``,
        by the reconstruction (``"swapped"``), and of SURE by Taylor (``"sure"``).
    hidden : dict of Hidden
        By modality.
    scorer : Scorer
        Of the N rows.
    """

    prediction: Prediction
    answers: Mapping[str, Float[np.ndarray, "N C"]]
    hidden: Mapping[str, Hidden]
    scorer: Scorer


def observe(model: SURE, masked: MaskedRows, *, num_samples: int, seed: int) -> Outcome:
    """Predict all masked rows by both roads, and by the pretrained model with three fillings."""
    prediction = model.predict(masked, "both", num_samples=num_samples, seed=seed)
    scorer = Scorer.of(masked.batch)
    answers = {
        "full": as_float64(model.pretrained(masked.complete, "mean"))[masked.row],
        "zero": as_float64(model.pretrained(masked.batch, "zero")),
        "mean": as_float64(model.pretrained(masked.batch, "mean")),
        "swapped": as_float64(model.pretrained(masked.batch, "reconstruction")),
        "sure": scorer.answer_of(prediction, "taylor"),
    }
    hidden = hidden_latents(model, masked, prediction.reconstruction)
    return Outcome(prediction, answers, hidden, scorer)


def measure(outcome: Outcome, masked: MaskedRows, *, seed: int) -> dict[str, Slice]:
    """Everything on each size of the mask, and over all masks that hide something."""
    return {
        name: Slice(
            name,
            int(rows.sum()),
            _task(outcome, masked, rows, seed),
            measure_uncertainty(outcome.hidden, masked, rows, seed),
            _propagation(outcome, masked, rows, seed),
        )
        for name, rows in masked.slices().items()
    }


def _task(outcome: Outcome, masked: MaskedRows, rows: Bool[np.ndarray, " N"], seed: int) -> Task:
    scorer = outcome.scorer[rows]
    answers = {name: answer[rows] for name, answer in outcome.answers.items()}
    loss = {name: scorer.loss(answer) for name, answer in answers.items()}

    def gain(better: str, worse: str) -> Interval:
        return paired(loss[worse] - loss[better], masked.unit[rows], seed)

    return Task(
        score=scorer.name,
        second_score=scorer.second_name,
        second={name: scorer.second(answer) for name, answer in answers.items()},
        **{name: float(1 - values.mean()) for name, values in loss.items()},
        loss=gain("full", "zero"),
        gain_zero=gain("sure", "zero"),
        gain_mean=gain("sure", "mean"),
        gain_swapped=gain("swapped", "mean"),
    )


def _propagation(
    outcome: Outcome, masked: MaskedRows, rows: Bool[np.ndarray, " N"], seed: int
) -> Propagation:
    p, scorer, unit = outcome.prediction, outcome.scorer, masked.unit[rows]
    nll = {road: scorer.nll_of(p, road)[rows] for road in ROADS}
    loss = {road: scorer.loss(scorer.answer_of(p, road))[rows] for road in ROADS}
    index = torch.from_numpy(np.flatnonzero(rows))
    taylor, sampled = (p.moments[road][index] for road in ("taylor", "sampling"))
    words = cross_check(taylor, sampled).verdicts["total"]
    total = taylor.variance.sum()
    return Propagation(
        nll={road: float(values.mean()) for road, values in nll.items()},
        aurc={road: aurc(scorer.doubt_of(p, road)[rows], loss[road]) for road in ROADS},
        taylor=paired(nll["taylor"] - nll["none"], unit, seed),
        sampling=paired(nll["sampling"] - nll["none"], unit, seed),
        between=paired(nll["sampling"] - nll["taylor"], unit, seed),
        verdicts={word: words.count(word) for word in dict.fromkeys(words)},
        ratio=_ratio(_from_missing(taylor), _from_missing(sampled)),
        shares={name: float(s2.sum() / total) for name, s2 in taylor.sources.items()},
    )


def paired(
    difference: Float[np.ndarray, " n"], unit: Shaped[np.ndarray, " n"], seed: int
) -> Interval:
    """Mean difference per row with its 90 % bootstrap interval; units are drawn whole."""
    return bootstrap_interval(np.mean, difference, groups=unit, seed=seed)


def _from_missing(moments: Moments) -> float:
    return float((moments.variance - moments.sources["head"]).sum())


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else 1.0
