"""Imbalance: one modality carries all reconstructions.

For each modality j, the gain of seeing it: by how much the error of the other modalities, when they
are missing, is smaller where j is visible, as a share of the error where it is not.

Rule: one gain is at least `GAIN` and `CERTAIN` of its standard errors, and no other reaches `REST`
of it. With two modalities each is
reconstructed from the only other one, so there is nothing to compare. Errors are used where the
truth is known, the predicted variances otherwise; both need rows under different masks.
"""

from __future__ import annotations

import numpy as np

from sure_pyro.diagnostics.signatures.finding import Finding
from sure_pyro.diagnostics.signatures.symptoms import Symptoms

GAIN, CERTAIN, REST, FEWEST = 0.15, 3.0, 0.25, 8


def imbalance(symptoms: Symptoms) -> list[Finding]:
    """Look for a modality that all others are reconstructed from."""
    found = gains(symptoms)
    if len(found) < 3:
        return []
    first, second = sorted(found, key=lambda name: -found[name][0])[:2]
    gain, error = found[first]
    other = max(found[second][0], 0.0)
    if gain < max(GAIN, CERTAIN * error) or other > REST * gain:
        return []
    return [
        Finding(
            "imbalance",
            first,
            f"seeing it makes the reconstruction of the others better by {gain:.0%}, seeing "
            f"any other by {other:.0%} at most.",
            f"Without {first} the reconstructions are worth little: hide it more often in "
            "training, look at the predictions of rows that lack it, and defer them if need be "
            "(`sp.DeferralPolicy`).",
        )
    ]


def gains(symptoms: Symptoms) -> dict[str, tuple[float, float]]:
    """Gain of seeing each modality, averaged over the targets, and its standard error."""
    found = {}
    for seen in symptoms.prediction.modalities:
        pairs = [
            gain
            for target in symptoms.prediction.modalities
            if target != seen and (gain := _gain(symptoms, seen, target)) is not None
        ]
        if pairs:
            gain, error = np.array(pairs).T
            found[seen] = float(gain.mean()), float(np.sqrt(np.square(error).sum()) / len(pairs))
    return found


def _gain(symptoms: Symptoms, seen: str, target: str) -> tuple[float, float] | None:
    """Gain for one target, and its standard error; None with too few rows on a side."""
    e = symptoms.actual[target]
    e = e if np.isfinite(e).any() else symptoms.predicted[target]
    hidden = symptoms.missing(seen)
    without, having = (e[rows & np.isfinite(e)] for rows in (hidden, ~hidden))
    if min(len(without), len(having)) < FEWEST:
        return None
    level = without.mean()
    error = np.sqrt(without.var() / len(without) + having.var() / len(having)) / level
    return float(1 - having.mean() / level), float(error)
