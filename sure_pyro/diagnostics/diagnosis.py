"""`diagnose`: the known ways in which it goes wrong, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import pandas as pd

from sure_pyro.diagnostics.signatures.collapse import collapse
from sure_pyro.diagnostics.signatures.domination import domination
from sure_pyro.diagnostics.signatures.finding import Finding
from sure_pyro.diagnostics.signatures.imbalance import imbalance
from sure_pyro.diagnostics.signatures.nothing_shared import nothing_shared
from sure_pyro.diagnostics.signatures.oscillation import oscillation
from sure_pyro.diagnostics.signatures.symptoms import Symptoms
from sure_pyro.models import Latents, Prediction
from sure_pyro.training import History

SIGNATURES = (collapse, domination, oscillation, imbalance, nothing_shared)


@dataclass(frozen=True)
class Diagnosis:
    """The findings; false where there are none.

    Parameters
    ----------
    findings : tuple of Finding
    """

    findings: tuple[Finding, ...]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the signatures that were found."""
        return tuple(dict.fromkeys(f.signature for f in self.findings))

    def to_dataframe(self) -> pd.DataFrame:
        """One line per finding: signature, where, evidence, advice."""
        columns = ["signature", "where", "evidence", "advice"]
        return pd.DataFrame([f.__dict__ for f in self.findings], columns=columns)

    def __repr__(self) -> str:
        if not self.findings:
            return "None of the known signs of failure."
        return "\n".join(f"- {finding}" for finding in self.findings)

    def _repr_html_(self) -> str:
        if not self.findings:
            return f"<p>{self!r}</p>"
        lines = "".join(
            f"<li><b>{escape(f.signature)}</b> ({escape(f.where)}): {escape(f.evidence)} "
            f"<i>{escape(f.advice)}</i></li>"
            for f in self.findings
        )
        return f"<ul>{lines}</ul>"


def diagnose(history: History, prediction: Prediction, truth: Latents | None = None) -> Diagnosis:
    """Look for the known signs of failure (arXiv 2504.13465), and say what to do.

    Each is a rule of its own with a reasoned threshold: see `sure_pyro.diagnostics.signatures`.
    That none is found does not prove that all is well; look at the calibration per mask.

    Parameters
    ----------
    history : History
        Of `sure_pyro.fit`; an empty one leaves out what needs it.
    prediction : Prediction
        Of rows that lack modalities, best under masks of every kind
        (``sp.missing.mcar(test, 0.5, seed=0)``).
    truth : Latents, optional
        ``model.encode(complete)`` of the same rows with nothing hidden. Without it, errors are
        those of the validation rows in the history.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ValueError
        If `truth` has other rows or modalities than `prediction`.
    """
    if truth is not None and (
        truth.modalities != prediction.modalities or len(truth) != len(prediction.available)
    ):
        raise ValueError(
            f"`truth` needs the {len(prediction.available)} rows of {prediction.modalities} that "
            f"were predicted; it has {len(truth)} rows of {truth.modalities}. Use "
            "`model.encode(complete)` of the same rows before anything was hidden."
        )
    symptoms = Symptoms.of(history, prediction, truth)
    return Diagnosis(tuple(finding for look in SIGNATURES for finding in look(symptoms)))
