"""How good the reconstructions of one model are, and how good their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Shaped

from sure_pyro.data import Batch, missing
from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.evaluation.hidden import Hidden
from sure_pyro.evaluation.pairs import Pairs
from sure_pyro.metrics import reconstructability, within_pattern_correlation
from sure_pyro.metrics.attainable import attainable_by_pattern
from sure_pyro.metrics.correlations import attainable_mean
from sure_pyro.metrics.reconstructed import Reconstructability
from sure_pyro.models import SURE
from sure_pyro.report.evidence import Uncertainty


def measure_uncertainty(
    pairs: Pairs, independent: Float[np.ndarray, " P"], rows: Bool[np.ndarray, " N"]
) -> Uncertainty | None:
    """Correlations and sizes over the rows chosen; None where nothing was hidden there.

    `independent` is that of `independent_errors`.
    """
    kept = rows[pairs.where]
    if not kept.any():
        return None
    x = {name: values[kept] for name, values in pairs.arrays.items()}
    within = within_pattern_correlation(x["u"], x["e"], x["pattern"])
    return Uncertainty(
        within=float(within),
        pooled=within.table.overall,
        attainable=float(np.nan_to_num(attainable_mean(x["attainable"]))),
        attainable_independent=float(np.nan_to_num(attainable_mean(independent[kept]))),
        rows=within.rows,
        cells=within.patterns,
        dropped=within.dropped_rows,
        predicted=float(np.average(x["variance"], weights=x["weight"])),
        observed=float(np.average(x["squared_error"], weights=x["weight"])),
    )


def independent_errors(
    hidden: Mapping[str, Hidden], pattern: Shaped[np.ndarray, " N"], seed: int
) -> Float[np.ndarray, " P"]:
    """What the pattern of each pair could reach if the entries of a row erred independently."""
    found = [
        attainable_by_pattern(
            h.sigma, h.truth - h.loc, pattern[h.where], version="independent", seed=seed
        )["pearson"]
        for h in hidden.values()
    ]
    return np.concatenate(found) if found else np.zeros(0)


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
