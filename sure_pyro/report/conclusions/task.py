"""Does reconstruction help the task? Against the simple fillings, paired by row."""

from __future__ import annotations

from collections.abc import Iterator

from sure_pyro.metrics.bootstrap import Interval
from sure_pyro.metrics.registry import R2
from sure_pyro.report.conclusions.answer import (
    NO,
    PARTLY,
    UNKNOWN,
    YES,
    Conclusion,
    interval,
    nothing_at_all,
)
from sure_pyro.report.evidence import Evidence, Task


def about_task(evidence: Evidence) -> Conclusion:
    """Whether the task is solved better than with zeros or means in the gaps."""
    t = evidence.random.task
    answer, headline = _nothing(t) if nothing_at_all(evidence) else _gain(t)
    details = tuple(_details(t, nothing_at_all(evidence)))
    return Conclusion("Does reconstruction help the task?", answer, headline, details)


def _nothing(t: Task) -> tuple[str, str]:
    headline = "No: there was nothing to reconstruct."
    if t.gain_zero.lower > 0 or t.gain_mean.lower > 0:
        headline += " What SURE wins it wins by a head that learned to answer without."
    return NO, headline


def _gain(t: Task) -> tuple[str, str]:
    gains = {"zeros": t.gain_zero, "means": t.gain_mean}
    better = [name for name, gain in gains.items() if gain.lower > 0]
    worse = [name for name, gain in gains.items() if gain.upper < 0]
    if worse:
        return NO, f"No. It does worse than filling in {' or '.join(worse)}."
    if len(better) == 2:
        return YES, "Yes, more than filling in zeros or means."
    if better:
        (other,) = gains.keys() - set(better)
        return PARTLY, f"More than filling in {better[0]}; over {other} no gain is shown."
    if t.loss.lower <= 0:
        return UNKNOWN, "Not shown: hiding modalities costs nothing here for certain."
    return UNKNOWN, "Not shown: it does about as well as filling in zeros or means."


def _details(t: Task, nothing: bool) -> Iterator[str]:
    yield (
        f"Over random masks: {t.score} {_score(t.full, t)} with everything recorded, "
        f"{_score(t.zero, t)} with zeros, {_score(t.mean, t)} with means, {_score(t.sure, t)} with "
        "SURE."
    )
    over = {"zeros": t.gain_zero, "means": t.gain_mean}
    yield "Gain over " + ", over ".join(f"{n} {_gain_words(x, t)}" for n, x in over.items()) + "."
    yield _won_back(t)
    if not nothing and t.gain_mean.lower > 0 >= t.gain_swapped.lower:
        yield (
            "Fed to the model as it was pretrained, the reconstructions win nothing over means for "
            f"certain ({_gain_words(t.gain_swapped, t)}): the gain comes from the head that "
            "learned to live with gaps."
        )


def _won_back(t: Task) -> str:
    if t.won_back is None:
        return "Zero filling loses nothing for certain, so there is nothing to win back."
    if t.won_back <= 0:
        return "Of what zero filling loses, nothing is won back."
    surely = "" if t.gain_zero.lower > 0 else ", which may be chance"
    return f"Of what zero filling loses, {t.won_back:.0%} is won back{surely}."


def _score(value: float, t: Task) -> str:
    return f"{value:.3f}" if t.score == R2 else f"{value:.1%}"


def _gain_words(x: Interval, t: Task) -> str:
    if t.score == R2:
        return f"{interval(x, 3, '+')} of R²"
    points = Interval(100 * x.estimate, 100 * x.lower, 100 * x.upper, x.level)
    return f"{interval(points, 1, '+')} points"
