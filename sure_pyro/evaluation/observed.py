"""What was observed, and how predictions of it are scored: one loss and one uncertainty per row.

==============  ============================  ==========================  ==========================
task            loss of a row                 uncertainty score           score: 1 - mean loss
==============  ============================  ==========================  ==========================
classification  1 if the class is wrong       1 - largest probability     accuracy
multilabel      share of labels wrong         mean of p (1 - p)           label accuracy
regression      mean squared error, in units  mean variance, in the same  R²
                of the target's variance      units
==============  ============================  ==========================  ==========================

The uncertainty score estimates the loss: where it is right, its mean is the mean loss (of a
classifier and of numbers), or half of the Brier score (of labels).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from sure_pyro.data import Batch
from sure_pyro.evaluation.arrays import as_array
from sure_pyro.evaluation.predicted import Predicted
from sure_pyro.metrics.registry import CLASSES, LABELS, NUMBERS, RANKING
from sure_pyro.metrics.scores import squared_error

LOSSES = {
    "classification": "share that is wrong",
    "multilabel": "share of labels that are wrong",
    "regression": "squared error, units of the target's variance",
}


@dataclass(frozen=True, eq=False)
class Observed:
    """Targets of N rows.

    Parameters
    ----------
    task : {"classification", "multilabel", "regression"}
    target : ndarray, shape (N,) for classes, (N, C) otherwise
    scale : ndarray, shape (C,)
        Standard deviation of a regression target, so that predicting its mean has a loss of 1.
    """

    task: str
    target: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, batch: Batch) -> Observed:
        """Targets of a batch that has some."""
        assert batch.target is not None
        assert batch.task is not None
        target = as_array(batch.target)
        if batch.task == "classification":
            return cls(batch.task, target, np.ones(1))
        target = target.reshape(len(target), -1).astype(np.float64)
        scale = target.std(0)
        return cls(batch.task, target, np.where(scale > 0, scale, 1.0))

    def loss(self, predicted: Predicted) -> Float[np.ndarray, " N"]:
        """Loss of every row."""
        p = predicted.probability
        if p is None:
            return squared_error(predicted.mean / self.scale, self.target / self.scale)
        if self.task == "classification":
            return (p.argmax(1) != self.target).astype(np.float64)
        return ((p > 0.5) != (self.target > 0.5)).mean(1)

    def uncertainty(self, predicted: Predicted) -> Float[np.ndarray, " N"] | None:
        """Uncertainty score of every row; None where a model states no variance."""
        p = predicted.probability
        if p is not None:
            return of_probabilities(p, self.task)
        if predicted.variance is None:
            return None
        return (predicted.variance / np.square(self.scale)).mean(1)

    def arrays(
        self, predicted: Predicted, pattern: Shaped[np.ndarray, " N"]
    ) -> dict[str, Mapping[str, np.ndarray]]:
        """What metrics of the prediction are computed from: see `sure_pyro.metrics.registry`."""
        loss, u = self.loss(predicted), self.uncertainty(predicted)
        ranking = {"score": 1 - loss, "loss": loss, "e": loss, "pattern": pattern}
        if u is not None:
            ranking["u"] = u
        p = predicted.probability
        if p is None:
            return {RANKING: ranking, NUMBERS: numbers(predicted, self.target)}
        if self.task == "classification":
            return {RANKING: ranking, CLASSES: {"probability": p, "label": self.target}}
        return {RANKING: ranking, LABELS: {"probability": p, "target": self.target}}

    def __getitem__(self, rows: Bool[np.ndarray, " N"]) -> Observed:
        return Observed(self.task, self.target[rows], self.scale)


def numbers(predicted: Predicted, target: np.ndarray) -> dict[str, np.ndarray]:
    """Arrays of the kind NUMBERS, without a variance where none is stated."""
    found = {"mean": predicted.mean, "target": target}
    if predicted.variance is None:
        return found
    error = np.square(target - predicted.mean)
    return {**found, "variance": predicted.variance, "squared_error": error}


def of_probabilities(p: Float[np.ndarray, "N K"], task: str) -> Float[np.ndarray, " N"]:
    """Uncertainty score of classes or labels: see the module's docstring."""
    return 1 - p.max(1) if task == "classification" else (p * (1 - p)).mean(1)
