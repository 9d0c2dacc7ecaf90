"""How good the predictions of one model are, and how right their uncertainty: per slice.

One table for every task. Where a metric has no meaning (a CRPS of classes) or a model does not say
what it needs (a variance), it is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from sure_pyro.calibrated.hidden import MINIMUM_ROWS
from sure_pyro.calibration import (
    aurc,
    ause,
    bernoulli_brier,
    bernoulli_nll,
    categorical_brier,
    categorical_nll,
    ece,
    ence,
    excess_aurc,
    gaussian_coverage,
    gaussian_crps,
    gaussian_nll,
    uce,
    within_pattern_correlation,
)
from sure_pyro.compare.metrics import LEVEL
from sure_pyro.compare.outcome import Outcome
from sure_pyro.compare.scorer import Scorer


@dataclass(frozen=True, eq=False)
class TaskScores:
    """What is needed to score any slice of the N rows.

    Parameters
    ----------
    scorer : Scorer
    outcome : Outcome
    pattern : ndarray of str, shape (N,)
    loss : ndarray, shape (N,)
        1 minus its mean is the score.
    doubt : ndarray, shape (N,), optional
        1 - largest probability, mean p(1-p), or the variance in units of the target's.
    """

    scorer: Scorer
    outcome: Outcome
    pattern: Shaped[np.ndarray, " N"]
    loss: Float[np.ndarray, " N"]
    doubt: Float[np.ndarray, " N"] | None

    @classmethod
    def of(cls, scorer: Scorer, outcome: Outcome, pattern: Shaped[np.ndarray, " N"]) -> TaskScores:
        """Prepare the rows' losses and doubts."""
        loss = scorer.loss(_answer(scorer, outcome))
        return cls(scorer, outcome, pattern, loss, _doubt(scorer, outcome))

    def of_rows(self, rows: Bool[np.ndarray, " N"]) -> dict[str, float]:
        """Metrics of the rows chosen."""
        scorer, o = self.scorer[rows], self.outcome
        found = {"score": float(1 - self.loss[rows].mean())}
        second = "rmse" if scorer.task == "regression" else "f1"
        found[second] = scorer.second(_answer(scorer, o, rows))
        if o.probabilities is not None:
            found |= _of_probabilities(scorer, o.probabilities[rows])
        elif o.variance is not None:
            found |= _of_variances(o.mean[rows], o.variance[rows], scorer.target)
        return found | self._ranking(rows)

    def _ranking(self, rows: np.ndarray) -> dict[str, float]:
        if self.doubt is None:
            return {}
        doubt, loss, pattern = self.doubt[rows], self.loss[rows], self.pattern[rows]
        found = {
            "ause": ause(doubt, loss),
            "aurc": aurc(doubt, loss),
            "excess_aurc": excess_aurc(doubt, loss),
        }
        for name, method in {"correlation": "pearson", "spearman": "spearman"}.items():
            within = within_pattern_correlation(
                doubt, loss, pattern, method=method, minimum_rows=MINIMUM_ROWS
            )
            found[f"output_{name}"] = float(within) if within.patterns else float("nan")
        return found


def _answer(scorer: Scorer, o: Outcome, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
    if o.probabilities is None:
        return o.mean[rows]
    p = o.probabilities[rows]
    return p if scorer.task == "classification" else p - 0.5


def _doubt(scorer: Scorer, o: Outcome) -> np.ndarray | None:
    if o.probabilities is not None:
        p = o.probabilities
        return 1 - p.max(1) if scorer.task == "classification" else (p * (1 - p)).mean(1)
    return None if o.variance is None else (o.variance / np.square(scorer.scale)).mean(1)


def _of_probabilities(scorer: Scorer, p: np.ndarray) -> dict[str, float]:
    """Of classes, or of labels, whose calibration is that of all labels taken together."""
    y = scorer.target
    if scorer.task == "classification":
        brier = float(categorical_brier(p, y).mean())
        claimed = float((1 - np.square(p).sum(1)).mean())
        return {
            "nll": float(categorical_nll(p, y).mean()),
            "brier": brier,
            "ece": ece(p, y),
            "output_ratio": _ratio(claimed, brier),
        }
    brier = float(bernoulli_brier(p, y).mean())
    both = np.stack([1 - p.ravel(), p.ravel()], 1)
    return {
        "nll": float(bernoulli_nll(p, y).mean()),
        "brier": brier,
        "ece": ece(both, y.ravel().astype(np.int64)),
        "output_ratio": _ratio(float((p * (1 - p)).mean()), brier),
    }


def _of_variances(mean: np.ndarray, variance: np.ndarray, y: np.ndarray) -> dict[str, float]:
    squared = np.square(y - mean)
    interval = gaussian_coverage(mean, variance, y, (LEVEL,))
    return {
        "nll": float(gaussian_nll(mean, variance, y).mean()),
        "crps": float(gaussian_crps(mean, variance, y).mean()),
        "uce": uce(variance, squared),
        "ence": ence(variance, squared),
        "coverage": float(interval.coverage[0]),
        "width": float(interval.width[0]),
        "output_ratio": _ratio(float(variance.mean()), float(squared.mean())),
    }


def _ratio(claimed: float, actual: float) -> float:
    if actual == 0:
        return 1.0 if claimed == 0 else float("inf")
    return claimed / actual
