"""One way to score every task: a loss per row, a likelihood per row, a doubt per row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from sure_pyro.calibrated.arrays import as_array, as_float64
from sure_pyro.calibration import (
    bernoulli_nll,
    categorical_nll,
    f1,
    gaussian_nll,
    rmse,
    squared_error,
)
from sure_pyro.data import Batch
from sure_pyro.models import Prediction

R2 = "R²"
SCORES = {"classification": "accuracy", "multilabel": "label accuracy", "regression": R2}
SECOND_SCORES = {"classification": "F1", "multilabel": "F1", "regression": "RMSE"}
LOSSES = {
    "classification": "share that is wrong",
    "multilabel": "share of labels that are wrong",
    "regression": "squared error, units of the target's variance",
}


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores of one batch; 1 minus the mean loss is accuracy, label accuracy, or R^2.

    Parameters
    ----------
    task : str
        As in `Batch`.
    target : ndarray, shape (N,) for classes, (N, C) otherwise
    scale : ndarray, shape (C,)
        Spread of a regression target, so that the mean loss of predicting its mean is 1.
    """

    task: str
    target: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, batch: Batch) -> Scorer:
        """Build it for the rows of a batch with targets."""
        assert batch.target is not None
        assert batch.task is not None
        target = as_array(batch.target)
        if batch.task == "classification":
            return cls(batch.task, target, np.ones(1))
        target = target.reshape(len(target), -1).astype(np.float64)
        scale = target.std(0)
        return cls(batch.task, target, np.where(scale > 0, scale, 1.0))

    @property
    def name(self) -> str:
        """What the score is called."""
        return SCORES[self.task]

    @property
    def second_name(self) -> str:
        """What the second score is called."""
        return SECOND_SCORES[self.task]

    @property
    def loss_name(self) -> str:
        """What the loss is called, with its unit."""
        return LOSSES[self.task]

    def answer_of(self, prediction: Prediction, road: str) -> Float[np.ndarray, "N C"]:
        """What a road answers, on the scale that `loss` takes."""
        if self.task == "regression":
            return as_float64(prediction.moments[road].mean)
        p = as_float64(prediction.probabilities[road])
        return p if self.task == "classification" else p - 0.5

    def loss(self, answer: Num[np.ndarray, "N C"]) -> Float[np.ndarray, " N"]:
        """Loss of class scores, of label scores that are positive for 1, or of values."""
        if self.task == "classification":
            return (answer.argmax(1) != self.target).astype(np.float64)
        if self.task == "multilabel":
            return ((answer > 0) != (self.target > 0.5)).mean(1)
        return squared_error(answer / self.scale, self.target / self.scale)

    def second(self, answer: Num[np.ndarray, "N C"]) -> float:
        """Second score of the same answers: F1 (macro), or root mean squared error in units."""
        if self.task == "regression":
            return rmse(answer, self.target)
        found = answer.argmax(1) if self.task == "classification" else (answer > 0).astype(int)
        return f1(found, self.target.astype(int))

    def nll_of(self, prediction: Prediction, road: str) -> Float[np.ndarray, " N"]:
        """Negative log-likelihood in nats; for several outputs or labels their mean."""
        if self.task == "regression":
            m = prediction.moments[road]
            return gaussian_nll(as_float64(m.mean), as_float64(m.variance), self.target)
        p = as_float64(prediction.probabilities[road])
        return (categorical_nll if self.task == "classification" else bernoulli_nll)(p, self.target)

    def doubt_of(self, prediction: Prediction, road: str) -> Float[np.ndarray, " N"]:
        """How unsure a road is: 1 - largest probability, mean p(1-p), or the variance."""
        if self.task == "regression":
            variance = as_float64(prediction.moments[road].variance)
            return (variance / np.square(self.scale)).mean(1)
        p = as_float64(prediction.probabilities[road])
        return 1 - p.max(1) if self.task == "classification" else (p * (1 - p)).mean(1)

    def __getitem__(self, rows: np.ndarray) -> Scorer:
        return Scorer(self.task, self.target[rows], self.scale)
