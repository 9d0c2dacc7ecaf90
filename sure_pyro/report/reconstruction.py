"""How good the reconstructions of one model are, and how good their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool

from sure_pyro.calibrated.hidden import MINIMUM_ROWS, Hidden
from sure_pyro.calibration import (
    Reconstructability,
    attainable_correlation,
    reconstructability,
    row_pair,
    within_pattern_correlation,
)
from sure_pyro.data import Batch, missing
from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.models import SURE
from sure_pyro.report.evidence import Uncertainty


def measure_uncertainty(
    hidden: Mapping[str, Hidden], masked: MaskedRows, rows: Bool[np.ndarray, " N"], seed: int
) -> Uncertainty | None:
    """Correlations and sizes over the rows chosen; None where nothing was hidden there."""
    chosen = {name: h.among(rows) for name, h in hidden.items()}
    chosen = {name: h for name, h in chosen.items() if len(h.where)}
    if not chosen:
        return None
    pairs = {name: row_pair(h.sigma, h.truth - h.loc) for name, h in chosen.items()}
    u, e = (np.concatenate([pair[i] for pair in pairs.values()]) for i in (0, 1))
    where = np.concatenate([h.where for h in chosen.values()])
    target = np.repeat(list(chosen), [len(h.where) for h in chosen.values()])
    pattern = masked.pattern
    within = within_pattern_correlation(u, e, pattern[where], target, minimum_rows=MINIMUM_ROWS)
    sizes = [h.truth.shape[1] for h in chosen.values()]
    # Every latent entry counts once, so that claimed / actual is the ratio of the whole.
    entries = np.repeat(sizes, [len(h.where) for h in chosen.values()])
    return Uncertainty(
        within=float(within),
        pooled=within.table.overall,
        attainable=_attainable(chosen, pattern, "resampled", seed),
        attainable_independent=_attainable(chosen, pattern, "independent", seed),
        rows=within.rows,
        cells=within.patterns,
        dropped=within.dropped_rows,
        claimed=float(np.average(u, weights=entries)),
        actual=float(np.average(e, weights=entries)),
    )


def _attainable(chosen: Mapping[str, Hidden], pattern: np.ndarray, version, seed: int) -> float:
    """Average over the targets, weighted by the rows that count, as for the reached correlation."""
    values, rows = [0.0], [0]
    for h in chosen.values():
        cell = pattern[h.where]
        if np.unique(cell, return_counts=True)[1].max() < MINIMUM_ROWS:
            continue
        found = attainable_correlation(
            h.sigma, h.truth - h.loc, cell,
            version=version, minimum_rows=MINIMUM_ROWS, repetitions=50, seed=seed,
        )  # fmt: skip
        values.append(found.value)
        rows.append(found.rows)
    return float(np.average(values, weights=rows)) if sum(rows) else 0.0


def measure_reconstructability(
    hidden: Mapping[str, Hidden], masked: MaskedRows, seed: int
) -> dict[str, Reconstructability]:
    """R^2 of every target with interval and verdict, over all masks."""
    complete = masked.complete
    labels = classes(complete)
    found = {}
    for name, h in hidden.items():
        if len(np.unique(masked.unit[h.where])) < 2:
            continue  # nothing to draw an interval from
        found[name] = reconstructability(
            h.truth,
            h.loc,
            np.zeros(h.truth.shape[1]),  # latents are standardised by the training rows
            None if labels is None else labels[masked.row[h.where]],
            groups=masked.unit[h.where],
            seed=seed,
        )
    return found


def classes(batch: Batch) -> np.ndarray | None:
    """Class of every row, or None where the target is something else."""
    if batch.target is None or batch.task != "classification":
        return None
    return batch.target.cpu().numpy()


def best_case(model: SURE, masked: MaskedRows) -> dict[str, float]:
    """R^2 of each target when all other modalities are visible."""
    complete, found = masked.complete, {}
    truth = model.encode(complete).values
    for i, name in enumerate(complete.modalities):
        others = [other for other in complete.modalities if other != name]
        rows = complete.available[:, i] & (complete.available.sum(1) > 1)
        if not rows.any():
            continue
        shown = missing.pattern(complete[rows], others)
        loc = model.predict(shown, "none").reconstruction[name].loc
        miss = (truth[name][rows] - loc).square().sum()
        found[name] = float(1 - miss / truth[name][rows].square().sum())
    return found
