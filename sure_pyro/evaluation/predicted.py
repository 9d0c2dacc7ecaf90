"""What one model predicts of some rows, as plain arrays: all that is scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.models import Prediction


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions of N rows.

    Parameters
    ----------
    mean : ndarray, shape (N, C)
        Of a regression target, in its units; the logits otherwise.
    variance : ndarray, shape (N, C), optional
        Total predictive variance; None where a model states none.
    probability : ndarray, shape (N, K), optional
        Of classes or labels.
    """

    mean: Float[np.ndarray, "N C"]
    variance: Float[np.ndarray, "N C"] | None = None
    probability: Float[np.ndarray, "N K"] | None = None

    @classmethod
    def of(cls, prediction: Prediction, method: str | None = None) -> Predicted:
        """What a method of propagation predicts; by default the one that `prediction` reports."""
        method = method or prediction.methods[0]
        m, given = prediction.moments[method], prediction.probabilities.get(method)
        p = None if given is None else as_float64(given)
        return cls(as_float64(m.mean), as_float64(m.variance), p)

    @classmethod
    def of_pretrained(cls, output: Tensor, task: str) -> Predicted:
        """Outputs of the pretrained model, whose probabilities are those of its logits.

        It states no variance.
        """
        p = None
        if task == "classification":
            p = as_float64(torch.softmax(output, -1))
        elif task == "multilabel":
            p = as_float64(torch.sigmoid(output))
        return cls(as_float64(output), None, p)

    def __getitem__(self, rows: Bool[np.ndarray, " N"]) -> Predicted:
        parts = (self.mean, self.variance, self.probability)
        return Predicted(*(None if x is None else x[rows] for x in parts))  # type: ignore[arg-type]
