"""Nothing shared: what is missing can not be told from what is there.

Rule: the error of the reconstruction is more than `NOTHING` of the latent's variance, where 1 is
what predicting the mean gives: less than a twentieth is won. The mean over the modalities decides
whether it holds for all of them, since one of few rows may lie below by luck. Then every row is
equally unsure, and the uncertainty tells nothing apart.
"""

from __future__ import annotations

from sure_pyro.diagnostics.signatures.finding import Finding
from sure_pyro.diagnostics.signatures.symptoms import Symptoms

NOTHING = 0.95


def nothing_shared(symptoms: Symptoms) -> list[Finding]:
    """Look for modalities that are reconstructed no better than by their mean."""
    errors = {name: symptoms.error(name) for name in symptoms.prediction.modalities}
    everything = sum(errors.values()) > NOTHING * len(errors)
    names = [name for name, e in errors.items() if everything or e > NOTHING]
    if not names:
        return []
    worthless = (
        "The modalities share nothing that was learnt: reconstruction and its uncertainty are "
        "worthless here."
        if everything
        else "Reconstructions of these are worthless; take their mean."
    )
    listed = ", ".join(f"{name} {errors[name]:.2f}" for name in names)
    return [
        Finding(
            "nothing shared",
            "all modalities" if everything else ", ".join(names),
            f"the error is that of predicting the mean ({listed}; 1 is the mean's own).",
            f"{worthless} More training rows or another reconstructor may help if something is "
            "shared at all: see `sp.metrics.reconstructability`.",
        )
    ]
