"""What should I do next? What the numbers call for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sure_pyro.report.conclusions.answer import FEW_GROUPS, FEW_ROWS, Conclusion, interval, listed
from sure_pyro.report.conclusions.uncertainty import is_right_size
from sure_pyro.report.evidence import Evidence
from sure_pyro.report.reading import CLASS_ONLY, LITTLE, NOTHING, reading

MUCH = 0.3  # share of the predictive variance that one modality must cause to be named


def about_next_steps(evidence: Evidence) -> Conclusion:
    """What the numbers call for; there is always something."""
    first, *others = _steps(evidence)
    return Conclusion("What should I do next?", "", first, tuple(others))


def _steps(evidence: Evidence) -> Iterator[str]:
    yield from _by_target(evidence)
    u, p = evidence.random.uncertainty, evidence.random.propagation
    if u is not None and not is_right_size(u):
        where = ", from groups of their own." if evidence.new_groups else "."
        yield (
            f"Rescale the variances, by about {1 / u.ratio:.2g}, on rows like those you will meet"
            + where
        )
    if p.verdicts.get("undecided"):
        yield "Take more draws: the cross-check could not decide for some outputs."
    yield from _better_objectives(evidence)
    source, share = _largest(p.shares)
    if share >= MUCH:
        yield (
            f"If one modality can be recorded more often, take {source}: it causes {share:.0%} of "
            "the predictive variance over random masks."
        )
    if evidence.test_rows < FEW_ROWS or (evidence.test_groups or FEW_GROUPS) < FEW_GROUPS:
        yield "Set more rows or groups aside for testing before you rely on any number here."
    yield (
        "Repeat with another seed (--seed 1) and look at what changes: weights, masks and draws "
        "are all made anew."
    )


def _by_target(evidence: Evidence) -> Iterator[str]:
    verdict = {name: reading(r) for name, r in evidence.targets.items()}
    unknown = [name for name, v in verdict.items() if v in (NOTHING, LITTLE)]
    class_only = [name for name, v in verdict.items() if v == CLASS_ONLY]
    if unknown:
        it, is_ = ("it", "it is") if len(unknown) == 1 else ("them", "they are")
        yield f"Record {listed(unknown)} where it matters: reconstruction does not replace {it}."
        yield (
            f"Where {is_} missing, answer from the other modalities and pass doubtful rows on to a "
            "person."
        )
    if class_only:
        yield (
            f"Use the reconstruction of {listed(class_only)} for the task, not as a picture of the "
            "sample."
        )


def _better_objectives(evidence: Evidence) -> Iterator[str]:
    for name, c in evidence.objectives.items():
        gains = {evidence.random.task.score: c.score_gain, "log-likelihood": c.nll_gain}
        better = [f"{n} ({interval(x, 3, '+')})" for n, x in gains.items() if x.lower > 0]
        if better:
            yield (
                f"Try the objective '{name}': here it had the better {listed(better)}. Choose on "
                "validation rows or other seeds, not on these."
            )


def _largest(shares: Mapping[str, float]) -> tuple[str, float]:
    missing = {name: share for name, share in shares.items() if name not in ("head", "weights")}
    return max(missing.items(), key=lambda item: item[1], default=("", 0.0))
