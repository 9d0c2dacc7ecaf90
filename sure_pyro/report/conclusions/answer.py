"""An answer, the bounds that answers go by, and numbers in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sure_pyro.metrics.bootstrap import Interval
from sure_pyro.report.evidence import Evidence
from sure_pyro.report.reading import NOTHING, reading

YES, PARTLY, NO, UNKNOWN = "yes", "partly", "no", "unknown"

RIGHT_SIZE = (0.8, 1.25)
"""Predicted over observed variance between these is right: a standard deviation within 12 %."""

FEW_GROUPS, FEW_ROWS = 8, 100
"""Test parts with fewer than these give intervals that are rough themselves."""


@dataclass(frozen=True)
class Conclusion:
    """An answer in one word, in one sentence, and with its numbers.

    Parameters
    ----------
    question : str
    answer : str
        ``"yes"``, ``"partly"``, ``"no"`` or ``"unknown"``; of the propagation the method; of what
        to do next nothing.
    headline : str
        One sentence.
    details : tuple of str
        Sentences with the numbers.
    """

    question: str
    answer: str
    headline: str
    details: tuple[str, ...]


def conclusions_text(conclusions: Sequence[Conclusion]) -> str:
    """Questions and answers in Markdown, for a terminal or a pull request."""
    blocks = [
        "\n".join([f"**{c.question}** {c.headline}", *(f"- {text}" for text in c.details)])
        for c in conclusions
    ]
    return "\n\n".join(blocks)


def nothing_at_all(evidence: Evidence) -> bool:
    """Whether no modality could be reconstructed."""
    return {reading(r) for r in evidence.targets.values()} == {NOTHING}


def number(x: float, digits: int = 2, sign: str = "") -> str:
    """Round, without a minus in front of nothing."""
    return f"{round(x, digits) + 0.0:{sign}.{digits}f}"


def interval(x: Interval, digits: int = 2, sign: str = "") -> str:
    """Estimate and, in brackets, ends."""
    estimate, lower, upper = (number(v, digits, sign) for v in (x.estimate, x.lower, x.upper))
    return f"{estimate} [{lower}, {upper}]"


def listed(names: Sequence[str]) -> str:
    """Join names by commas and a last "and"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
