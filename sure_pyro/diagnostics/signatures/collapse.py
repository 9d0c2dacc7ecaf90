"""Collapse: the reconstructor is sure of itself and wrong.

Rule: errors of at least `LARGE` of the latent's variance, and a predicted variance below `RATIO` of
them. Rows of new subjects alone bring the ratio down to about 0.35 (measured, unseen subjects), so
a tenth is no shift of that kind; and where errors are a few hundredths, being too sure of them does
no harm.
"""

from __future__ import annotations

from sure_pyro.diagnostics.signatures.finding import Finding
from sure_pyro.diagnostics.signatures.symptoms import Symptoms

RATIO, LARGE = 0.1, 0.1
ADVICE = (
    "Do not trust this uncertainty. Choose epochs on rows (groups) that were not trained on, use a "
    "likelihood in the objective ('elbo+pcc'), a smaller reconstructor or more dropout; then "
    "`sp.recalibrate`."
)


def collapse(symptoms: Symptoms) -> list[Finding]:
    """Look for modalities whose reconstruction variance is near zero beside large errors."""
    found = []
    for name in symptoms.prediction.modalities:
        predicted, actual = symptoms.variance(name), symptoms.error(name)
        if actual >= LARGE and predicted < RATIO * actual:
            evidence = (
                f"its reconstruction predicts a variance of {predicted:.2g} and errs by "
                f"{actual:.2g} (ratio {predicted / actual:.2g}, below {RATIO})."
            )
            found.append(Finding("collapse", name, evidence, ADVICE))
    return found
