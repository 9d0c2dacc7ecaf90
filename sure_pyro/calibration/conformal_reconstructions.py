"""Conformal intervals for what is missing: around each entry of a reconstructed latent.

The score of an entry is its error over its reconstructed standard deviation. Entries of a row err
together, so rows (or groups of rows) are what the guarantee counts. It is one for the share of a
new row's entries that are covered, on average, under the same mask pattern; with groups, for the
share of a new group's entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import pandas as pd

from sure_pyro.calibration.arrays import ConformalIntervals, Intervals
from sure_pyro.calibration.arrays.conformal import Rare
from sure_pyro.calibration.arrays.mondrian import Quantile
from sure_pyro.calibration.checks import check_kind, followed_by
from sure_pyro.calibration.conformal_outputs import around, as_promised, rows_followed
from sure_pyro.calibration.held_out import families, held_out, stream
from sure_pyro.calibration.model import CalibratedPrediction
from sure_pyro.data import Batch
from sure_pyro.data.store import LatentStore
from sure_pyro.data.store.store import in_memory
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.evaluation.hidden import Hidden, hidden_latents
from sure_pyro.evaluation.rows import pattern_in
from sure_pyro.metrics import check
from sure_pyro.metrics.patterns import Pattern
from sure_pyro.models import SURE, LocScale, Prediction
from sure_pyro.stored import Stored

ROWS_NEEDED = "its rows need two modalities or more, and masks other than `masks='recorded'`."


@dataclass(frozen=True, eq=False)
class ConformalLatents(Stored):
    """Intervals for reconstructed latents, by modality; `conformal_latents` makes one.

    Parameters
    ----------
    fitted : dict of ConformalIntervals
        By target modality; one that was never hidden on purpose has none.
    calibrated : bool
        Whether the reconstructions are those of a calibrated model.
    belongs_to : tuple of int
        As in `Conformal`.
    """

    fitted: Mapping[str, ConformalIntervals]
    calibrated: bool
    belongs_to: tuple[int, ...]

    def predict(self, prediction: Prediction) -> dict[str, Intervals]:
        """Give the intervals of each modality: bounds (B, L, D), in standard deviations of it.

        Rows that have the modality have no interval: their bounds are NaN, their `guaranteed`
        False.

        Raises
        ------
        ValueError
            If the fit was on a calibrated model and this is none, or the reverse, or it is of other
            modalities.
        """
        check_kind(prediction, self.calibrated)
        unknown = [name for name in self.fitted if name not in prediction.modalities]
        if unknown:
            raise ValueError(
                f"The fit is of the modalities {list(self.fitted)}; the prediction has no "
                f"{unknown}, only {prediction.modalities}. Predict with the model of the fit."
            )
        lacking = ~prediction.available.cpu().numpy()
        pattern = pattern_in(prediction)
        found = {
            name: _intervals(
                fitted,
                prediction.reconstruction[name],
                pattern,
                lacking[:, prediction.modalities.index(name)],
            )
            for name, fitted in self.fitted.items()
        }
        return {n: as_promised(f, prediction, self.belongs_to) for n, f in found.items()}

    def follow(
        self,
        model: SURE,
        batch: Batch,
        step: float = 0.05,
        *,
        masks: str | None = None,
        seed: int = 0,
    ) -> ConformalLatents:
        """Take in rows that have come, what they have being hidden on purpose.

        Parameters
        ----------
        model : SURE
            As it predicted these rows.
        batch : Batch
            Rows after those followed before; targets are not needed.
        step : float in (0, 1)
            How fast the log of a pattern's quantile follows the share of a row's entries that were
            not covered.
        masks, seed
            As in `CalibratedSURE.follow`.

        Returns
        -------
        ConformalLatents
            To `predict` with for the next rows. A modality that the fit never hid has no quantile
            to begin with, and gets none.

        Raises
        ------
        ValueError
            If there are no rows, `step` is out of range, or the model is calibrated and that of the
            fit was not, or the reverse.

        Warns
        -----
        UserWarning
            If nothing could be hidden on purpose, and so nothing was learnt.
        """
        offset = sum(rows_followed(f) for f in self.fitted.values())
        masked = stream(batch, masks, seed, offset, targets=False)
        prediction = model.predict(masked, "none", num_weights=0)
        check_kind(prediction, self.calibrated)
        hidden, after = hidden_latents(model, masked, prediction.reconstruction), {}
        if not hidden:
            check.warn_caller("No latent of `batch` could be hidden on purpose: " + ROWS_NEEDED)
        for name in [name for name in hidden if name in self.fitted]:
            h, quantiles = hidden[name], self.fitted[name].quantiles
            scores = np.abs(h.truth - h.loc) / h.sigma
            if h.known is not None:
                scores[~h.known] = np.nan
            pattern = masked.pattern[h.where]
            after[name] = ConformalIntervals(quantiles.follow(scores, pattern, step, True)[1])
        belongs_to = around(prediction, batch)
        return replace(self, fitted={**self.fitted, **after}, belongs_to=belongs_to)

    def guarantee(self) -> pd.DataFrame:
        """State the coverage by target modality and pattern, as `Conformal.guarantee` does."""
        tables = [f.guarantee().assign(target=name) for name, f in self.fitted.items()]
        return pd.concat(tables, ignore_index=True)


def conformal_latents(
    model: SURE,
    validation: Batch | LatentStore,
    level: float = 0.9,
    *,
    masks: str | None = None,
    rare: str = "pooled",
    minimum_rows: int | None = None,
    new_groups: bool = True,
    seed: int = 0,
) -> ConformalLatents:
    """Calibrate intervals for the entries of reconstructed latents on held-out rows.

    Parameters
    ----------
    model, validation, level, masks, rare, minimum_rows, new_groups, seed
        As in `sure_pyro.conformal`, but that targets are not needed. What `validation` has is
        hidden on purpose, so it should have much.

    Raises
    ------
    ValueError
        If nothing could be hidden on purpose, or an option is out of range.
    """
    masked = held_out(in_memory(validation), masks, seed, targets=False)
    prediction = model.predict(masked, "none", num_weights=0)
    hidden = hidden_latents(model, masked, prediction.reconstruction)
    if not hidden:
        raise ValueError(
            "No latent of `validation` was hidden on purpose, so nothing tells how far "
            "reconstructions err: " + ROWS_NEEDED
        )
    family = families(masked, new_groups)
    # A name for each of millions of entries would fill the memory: they get its number.
    names, pattern = np.unique(masked.pattern, return_inverse=True)

    def fit(h: Hidden) -> ConformalIntervals:
        known = np.ones(h.loc.shape, dtype=bool) if h.known is None else h.known
        of = np.broadcast_to(h.where[:, None], known.shape)[known]  # the masked row of each entry
        arrays = (h.loc[known], np.square(h.sigma[known]), h.truth[known], pattern[of])
        numbered = ConformalIntervals.fit(
            *arrays, level, cast(Rare, rare), minimum_rows, row=masked.row[of], groups=family[of]
        ).quantiles
        named: dict[Pattern, Quantile] = {
            str(names[number]): q for number, q in numbered.patterns.items()
        }
        return ConformalIntervals(replace(numbered, patterns=named))

    fitted = {name: fit(h) for name, h in hidden.items()}
    calibrated = isinstance(prediction, CalibratedPrediction)
    return ConformalLatents(fitted, calibrated, (followed_by(prediction),))


def _intervals(
    fitted: ConformalIntervals, reconstruction: LocScale, pattern: np.ndarray, lacking: np.ndarray
) -> Intervals:
    """Of the rows that lack the modality; NaN elsewhere."""
    loc, scale = (as_float64(x) for x in reconstruction)
    lower, upper = np.full_like(loc, np.nan), np.full_like(loc, np.nan)
    guaranteed = np.zeros(len(loc), dtype=bool)
    if lacking.any():
        flat = (len(pattern[lacking]), -1)
        found = fitted.predict(
            loc[lacking].reshape(flat), np.square(scale[lacking]).reshape(flat), pattern[lacking]
        )
        lower[lacking] = found.lower.reshape(loc[lacking].shape)
        upper[lacking] = found.upper.reshape(loc[lacking].shape)
        guaranteed[lacking] = found.guaranteed
    return Intervals(lower, upper, guaranteed)
