"""Oscillation: the correlation jumps from epoch to epoch and does not settle.

Rule: over the later half of the epochs, the validation correlation (mean over modalities) changes
from one epoch to the next by more than `STEP` in the root mean square, and at least `TURNS` of the
changes turn back on the one before. A steady climb or fall turns back seldom; white noise does in
two thirds of the epochs. Sound trainings moved by 0.02 or less. Validation masks are the same in
every epoch, so the jumps are of the weights.
"""

from __future__ import annotations

import numpy as np

from sure_pyro.diagnostics.signatures.finding import Finding
from sure_pyro.diagnostics.signatures.symptoms import Symptoms

STEP, TURNS, FEWEST = 0.03, 0.5, 8


def oscillation(symptoms: Symptoms) -> list[Finding]:
    """Look for a correlation that oscillates."""
    rho = correlation(symptoms)
    late = rho[len(rho) // 2 :]
    if len(late) < FEWEST:
        return []
    steps = np.diff(late)
    step = float(np.sqrt(np.square(steps).mean()))
    turns = float((steps[1:] * steps[:-1] < 0).mean())
    if step <= STEP or turns < TURNS:
        return []
    return [
        Finding(
            "oscillation",
            str(symptoms.phase),
            f"the validation correlation moves by {step:.2f} from epoch to epoch (more than "
            f"{STEP}) and turns back in {turns:.0%} of them.",
            "A correlation over few rows is noisy (sd 0.38 over 8, 0.06 over 256): take larger "
            "batches, a memory of past batches (`CorrelationELBO(memory=...)`), or a smaller `lr`.",
        )
    ]


def correlation(symptoms: Symptoms) -> np.ndarray:
    """Validation correlation by epoch, averaged over the modalities."""
    if symptoms.phase is None:
        return np.zeros(0)
    frame = symptoms.history.phase(symptoms.phase)
    columns = [c for c in frame if c.startswith("validation/rho/z_")]
    return frame[columns].mean(axis=1).to_numpy() if columns else np.zeros(0)
