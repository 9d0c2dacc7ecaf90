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
from sure_pyro.calibration.checks import check_kind, is_calibrated, updated_rows
from sure_pyro.calibration.conformal_outputs import (
    before_and_after,
    rows_of_updates,
    withdrawn_if_outdated,
)
from sure_pyro.calibration.held_out import held_out, held_out_in_order, masked_groups
from sure_pyro.data import Batch
from sure_pyro.data.masked_rows import MaskedRows
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
    valid_for : tuple of int
        As in `Conformal`.
    """

    fitted: Mapping[str, ConformalIntervals]
    calibrated: bool
    valid_for: tuple[int, ...]

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
        found = {}
        for name, fitted in self.fitted.items():
            rows = lacking[:, prediction.modalities.index(name)]
            intervals = _intervals(fitted, prediction.reconstruction[name], pattern, rows)
            found[name] = withdrawn_if_outdated(intervals, prediction, self.valid_for)
        return found

    def update_online(
        self,
        model: SURE,
        batch: Batch,
        step: float = 0.05,
        *,
        masks: str | None = None,
        seed: int = 0,
    ) -> ConformalLatents:
        """Take in new rows, what they have being hidden on purpose.

        Parameters
        ----------
        model : SURE
            As it predicted these rows.
        batch : Batch
            Rows after those of the updates before; targets are not needed.
        step : float in (0, 1)
            How fast the log of a pattern's quantile moves, by the share of a row's entries that
            were not covered.
        masks, seed
            As in `CalibratedSURE.update_online`.

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
        before = sum(rows_of_updates(f) for f in self.fitted.values())
        masked = held_out_in_order(batch, masks, seed, before, targets=False)
        prediction = model.predict(masked, "none", num_weights=0)
        check_kind(prediction, self.calibrated)
        hidden = hidden_latents(model, masked, prediction.reconstruction)
        if not hidden:
            check.warn_caller("No latent of `batch` could be hidden on purpose: " + ROWS_NEEDED)
        after = dict(self.fitted)
        for name in hidden.keys() & after.keys():
            scores, pattern = _scores(hidden[name]), masked.pattern[hidden[name].where]
            moved = after[name].quantiles.update_online(scores, pattern, step, together=True)[1]
            after[name] = ConformalIntervals(moved)
        return replace(self, fitted=after, valid_for=before_and_after(prediction, batch))

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
    groups, options = masked_groups(masked, new_groups), (level, cast(Rare, rare), minimum_rows)
    fitted = {name: _fit(h, masked, groups, *options) for name, h in hidden.items()}
    return ConformalLatents(fitted, is_calibrated(prediction), (updated_rows(prediction),))


def _fit(
    h: Hidden,
    masked: MaskedRows,
    groups: np.ndarray,
    level: float,
    rare: Rare,
    minimum_rows: int | None,
) -> ConformalIntervals:
    """Calibrate on the known entries of one modality, each of which belongs to a row."""
    # A name for each of millions of entries would fill the memory: they get its number.
    names, pattern = np.unique(masked.pattern, return_inverse=True)
    known = np.ones(h.loc.shape, dtype=bool) if h.known is None else h.known
    of = np.broadcast_to(h.where[:, None], known.shape)[known]  # the masked row of each entry
    arrays = (h.loc[known], np.square(h.sigma[known]), h.truth[known], pattern[of])
    numbered = ConformalIntervals.fit(
        *arrays, level, rare, minimum_rows, row=masked.row[of], groups=groups[of]
    ).quantiles
    named: dict[Pattern, Quantile] = {str(names[k]): q for k, q in numbered.patterns.items()}
    return ConformalIntervals(replace(numbered, patterns=named))


def _scores(h: Hidden) -> np.ndarray:
    """Error of each entry over its standard deviation (n, D); NaN where the truth is not known."""
    scores = np.abs(h.truth - h.loc) / h.sigma
    return scores if h.known is None else np.where(h.known, scores, np.nan)


def _intervals(
    fitted: ConformalIntervals, reconstruction: LocScale, pattern: np.ndarray, lacking: np.ndarray
) -> Intervals:
    """Of the rows that lack the modality; NaN elsewhere."""
    loc, scale = (as_float64(x) for x in reconstruction)
    lower, upper = np.full_like(loc, np.nan), np.full_like(loc, np.nan)
    guaranteed = np.zeros(len(loc), dtype=bool)
    if lacking.any():
        mean, variance = (x[lacking].reshape(lacking.sum(), -1) for x in (loc, np.square(scale)))
        found = fitted.predict(mean, variance, pattern[lacking])
        lower[lacking] = found.lower.reshape(loc[lacking].shape)
        upper[lacking] = found.upper.reshape(loc[lacking].shape)
        guaranteed[lacking] = found.guaranteed
    return Intervals(lower, upper, guaranteed)
