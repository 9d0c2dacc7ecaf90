"""Signs of failure (arXiv 2504.13465), one file each: a rule, its threshold, and the advice."""

from sure_pyro.diagnostics.signatures.collapse import collapse
from sure_pyro.diagnostics.signatures.domination import domination
from sure_pyro.diagnostics.signatures.finding import Finding
from sure_pyro.diagnostics.signatures.imbalance import imbalance
from sure_pyro.diagnostics.signatures.nothing_shared import nothing_shared
from sure_pyro.diagnostics.signatures.oscillation import oscillation
from sure_pyro.diagnostics.signatures.symptoms import Symptoms

__all__ = [
    "Finding",
    "Symptoms",
    "collapse",
    "domination",
    "oscillation",
    "imbalance",
    "nothing_shared",
]
