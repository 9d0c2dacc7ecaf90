"""May I trust the reconstructions? From the intervals of R^2, target by target."""

from __future__ import annotations

from collections.abc import Iterator

from sure_pyro.metrics.reconstructed import Reconstructability
from sure_pyro.report.conclusions.answer import (
    FEW_GROUPS,
    FEW_ROWS,
    NO,
    PARTLY,
    UNKNOWN,
    YES,
    Conclusion,
    interval,
    number,
)
from sure_pyro.report.evidence import Evidence
from sure_pyro.report.reading import CLASS_ONLY, LITTLE, MOST, NOTHING, PART, reading

QUESTION = "May I trust the reconstructions?"

SAY = {
    NOTHING: "no better than predicting its mean. Do not trust it, do not look at it",
    LITTLE: "better than its mean, but less than a tenth of its variance is certain",
    CLASS_ONLY: "the class and nothing else: it stands for a typical member of the class, not for "
    "this sample",
    PART: "part of it, {lower:.0%} of its variance for certain",
    MOST: "most of it, {lower:.0%} of its variance for certain",
}


def about_reconstruction(evidence: Evidence) -> Conclusion:
    """Whether the reconstructed latents say something about the sample."""
    if not evidence.targets:
        return Conclusion(QUESTION, UNKNOWN, "Not measured: nothing could be hidden.", ())
    answer, headline = _over_all({reading(r) for r in evidence.targets.values()})
    details = [_target(name, r, evidence) for name, r in evidence.targets.items()]
    return Conclusion(QUESTION, answer, headline, (*details, *_caveats(evidence)))


def _over_all(verdicts: set[str]) -> tuple[str, str]:
    if verdicts == {NOTHING}:
        return NO, (
            "No. Do not trust the reconstruction: no modality can be told from the others here."
        )
    if verdicts <= {NOTHING, LITTLE}:
        return NO, "No. Do not trust the reconstruction: next to nothing can be told."
    if verdicts == {CLASS_ONLY}:
        return PARTLY, (
            "Only the class. What a modality holds beyond its class was not reconstructed."
        )
    if verdicts <= {NOTHING, LITTLE, CLASS_ONLY}:
        return PARTLY, "At most the class, and of some modalities not even that."
    if verdicts <= {PART, MOST}:
        return YES, "Yes, within the uncertainty that goes with them."
    return PARTLY, "Some of them: read the list before you use one."


def _target(name: str, r: Reconstructability, evidence: Evidence) -> str:
    text = f"{name}: {SAY[reading(r)].format(lower=r.r2.lower)}. R² {interval(r.r2)}"
    if r.between is not None and r.within is not None:
        text += f" (between classes {interval(r.between)}, within a class {interval(r.within)})"
    if name in evidence.best_case:
        text += f"; with all other modalities visible {number(evidence.best_case[name])}"
    return text + "."


def _caveats(evidence: Evidence) -> Iterator[str]:
    if evidence.test_groups is not None and evidence.test_groups < FEW_GROUPS:
        yield (
            f"The test part has only {evidence.test_groups} groups: every interval here is rough, "
            "and says little about a group that is not among them."
        )
    if evidence.test_rows < FEW_ROWS:
        yield f"The test part has only {evidence.test_rows} rows: expect other numbers on others."
