"""Which propagation should I use? From likelihoods and the cross-check of the two methods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sure_pyro.report.conclusions.answer import Conclusion, interval
from sure_pyro.report.evidence import Evidence, Propagation


def about_propagation(evidence: Evidence) -> Conclusion:
    """Whether to carry the variance to the prediction, and by which method."""
    p = evidence.random.propagation
    answer, headline = _choice(p)
    if answer != "point" and p.taylor.upper >= 0 and p.sampling.upper >= 0:
        headline += " That it beats the point prediction is not shown."
    details = tuple(_details(p))
    return Conclusion("Which propagation should I use?", answer, headline, details)


def _choice(p: Propagation) -> tuple[str, str]:
    if p.taylor.lower > 0 and p.sampling.lower > 0:
        return "point", "Neither: the point prediction has the better likelihood here."
    if p.verdicts.get("disagree"):
        return "sampling", "Sampling: the linearisation of Taylor is not to be trusted here."
    if p.between.upper < 0:
        return "sampling", "Sampling: it scores better than Taylor."
    return "taylor", "Taylor: it does as well as sampling, and costs far less."


def _details(p: Propagation) -> Iterator[str]:
    yield (
        "Change of the negative log-likelihood against the point prediction: Taylor "
        f"{interval(p.taylor, 3, '+')}, sampling {interval(p.sampling, 3, '+')} nats per row "
        "(below 0 is better)."
    )
    yield f"Sampling minus Taylor: {interval(p.between, 3, '+')}."
    yield (
        f"Cross-check of the total variance, by output: {_counts(p.verdicts)}. Of the variance "
        f"that missing modalities bring, Taylor sees {p.ratio:.2f} times what sampling sees."
    )


def _counts(verdicts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {word}" for word, n in verdicts.items()) or "nothing to compare"
