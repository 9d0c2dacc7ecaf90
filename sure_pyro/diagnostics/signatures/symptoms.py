"""What the signatures look at: errors and variances by modality, and the history."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from sure_pyro.models import Latents, Prediction
from sure_pyro.training import History

SITE = "validation/{}/z_{}"
PHASES = ("reconstruction", "scale", "location", "joint")
"""Phases that train reconstructors; the first that a history has is the one looked at."""


@dataclass(frozen=True, eq=False)
class Symptoms:
    """Numbers by modality, in units of the latent's variance (1: predicting the mean).

    Parameters
    ----------
    history : History
    prediction : Prediction
        Of rows that lack modalities.
    predicted : dict of ndarray, shapes (B,)
        Predicted variance, averaged over the latent; NaN where the modality is not missing.
    actual : dict of ndarray, shapes (B,)
        Squared error, likewise; NaN where the truth is not known either.
    """

    history: History
    prediction: Prediction
    predicted: dict[str, Float[np.ndarray, " B"]]
    actual: dict[str, Float[np.ndarray, " B"]]

    @classmethod
    def of(cls, history: History, prediction: Prediction, truth: Latents | None) -> Symptoms:
        """Take them from a history, a prediction, and the latents of the complete rows."""
        predicted, actual = {}, {}
        available = prediction.available.cpu().numpy()
        for i, name in enumerate(prediction.modalities):
            loc, scale = prediction.reconstruction[name]
            missing = ~available[:, i]
            variance = scale.square().flatten(1).mean(1).cpu().numpy().astype(np.float64)
            predicted[name] = np.where(missing, variance, np.nan)
            actual[name] = np.full(len(missing), np.nan)
            if truth is not None:
                known = missing & truth.available[name].all(1).cpu().numpy()
                error = (truth.values[name] - loc).square().flatten(1).mean(1)
                actual[name] = np.where(known, error.cpu().numpy(), np.nan)
        return cls(history, prediction, predicted, actual)

    @property
    def phase(self) -> str | None:
        """The phase in which the reconstructors were trained, if the history has it."""
        trained = {record["phase"] for record in self.history.records}
        return next((phase for phase in PHASES if phase in trained), None)

    def error(self, name: str) -> float:
        """Mean squared error of a modality: of these rows, or else of the validation rows."""
        e = self.actual[name]
        if np.isfinite(e).any():
            return float(np.nanmean(e))
        return self.kept("mse", name)

    def variance(self, name: str) -> float:
        """Mean predicted variance of a modality where it is missing."""
        u = self.predicted[name]
        u = u[np.isfinite(self.actual[name])] if np.isfinite(self.actual[name]).any() else u
        return float(np.nanmean(u)) if np.isfinite(u).any() else float("nan")

    def kept(self, quantity: str, name: str) -> float:
        """Value on the validation rows in the epoch that was kept; NaN where there is none."""
        if self.phase is None:
            return float("nan")
        frame = self.history.phase(self.phase)
        column, epoch = SITE.format(quantity, name), self.history.best.get(self.phase, -1)
        if column not in frame or epoch not in frame.index:
            return float("nan")
        return float(frame.loc[epoch, column])

    def missing(self, name: str) -> Bool[np.ndarray, " B"]:
        """Rows that lack a modality."""
        i = self.prediction.modalities.index(name)
        return ~self.prediction.available[:, i].cpu().numpy()
