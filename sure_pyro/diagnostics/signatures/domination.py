"""Domination: what is missing makes nearly all of the output's variance.

Rule: in rows that lack something, the sources of the missing modalities hold more than `SHARE` of
the total variance: nine times the head's own. That is as it should be where the reconstruction
variance is right and the task has little noise of its own; so where the truth is known the
predicted variance must also be `TOO_LARGE` times the actual error. The paper's advice is to raise
lambda.
"""

from __future__ import annotations

import numpy as np

from sure_pyro.diagnostics.signatures.finding import Finding
from sure_pyro.diagnostics.signatures.symptoms import Symptoms

SHARE, TOO_LARGE = 0.9, 1.25


def domination(symptoms: Symptoms) -> list[Finding]:
    """Look for input variance that dominates the head's."""
    p = symptoms.prediction
    rows = ~p.available.all(1).cpu()
    sources = {name: v[rows].sum().item() for name, v in p.variance.items()}
    total = sum(sources.values())
    inputs = sum(v for name, v in sources.items() if name in p.modalities)
    if not rows.any() or inputs <= SHARE * total or not _too_large(symptoms):
        return []
    return [
        Finding(
            "domination",
            "output",
            f"{inputs / total:.0%} of the variance of rows that lack something comes from the "
            f"missing modalities (more than {SHARE:.0%}).",
            "Raise lambda (`sp.fit(..., weight=...)`); if the reconstruction variance is too "
            "large, `sp.recalibrate` corrects it. Where it is right, the task simply needs "
            "what is missing.",
        )
    ]


def _too_large(symptoms: Symptoms) -> bool:
    known = [n for n in symptoms.actual if np.isfinite(symptoms.actual[n]).any()]
    predicted = sum(symptoms.variance(n) for n in known)
    return not known or predicted > TOO_LARGE * sum(symptoms.error(n) for n in known)
