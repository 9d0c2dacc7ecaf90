"""May I trust the uncertainty? Its size and its ranking, which are two things."""

from __future__ import annotations

import math
from collections.abc import Iterator

from sure_pyro.report.conclusions.answer import (
    NO,
    PARTLY,
    RIGHT_SIZE,
    UNKNOWN,
    YES,
    Conclusion,
    nothing_at_all,
    number,
)
from sure_pyro.report.evidence import Evidence, Uncertainty

QUESTION = "May I trust the uncertainty?"

RANKS_WELL, RANKS_SOMEWHAT, SPREADS_TOO_LITTLE = 0.75, 0.4, 1.5
"""Bounds of the reached over the attainable correlation."""

RANK_HEADLINE = {
    YES: "It tells which rows have the larger errors about as well as it could.",
    PARTLY: "It tells which rows have the larger errors, but less well than it could.",
    NO: "It does not tell which rows have the larger errors.",
    UNKNOWN: "Whether it tells which rows have the larger errors could not be measured.",
}


def about_uncertainty(evidence: Evidence) -> Conclusion:
    """Whether the reconstruction's variance has the right size and ranks the rows."""
    u = evidence.random.uncertainty
    if u is None:
        return Conclusion(QUESTION, UNKNOWN, "Not measured: nothing could be hidden.", ())
    right, rank = is_right_size(u), ranks(u, evidence.test_rows)
    answer = {(True, YES): YES, (False, NO): NO, (False, UNKNOWN): NO}.get((right, rank), PARTLY)
    headline = f"{_size_headline(u)} {RANK_HEADLINE[rank]}"
    return Conclusion(QUESTION, answer, headline, tuple(_details(u, evidence)))


def is_right_size(u: Uncertainty) -> bool:
    """Whether predicted and observed variance agree well enough."""
    return RIGHT_SIZE[0] <= u.ratio <= RIGHT_SIZE[1]


def ranks(u: Uncertainty, test_rows: int) -> str:
    """How well it ranks: reached over attainable, if it is more than chance."""
    if u.cells == 0:
        return UNKNOWN
    share = u.within / max(u.attainable, 1e-9)
    if u.within < chance(u, test_rows) or share < RANKS_SOMEWHAT:
        return NO
    return YES if share >= RANKS_WELL else PARTLY


def chance(u: Uncertainty, test_rows: int) -> float:
    """Two standard errors of a correlation that is not there; one test row counts once."""
    return 2 / math.sqrt(max(min(test_rows, u.rows), 2) - 1)


def _size_headline(u: Uncertainty) -> str:
    if is_right_size(u):
        return "Its size is right."
    return f"Not its size: it is {'overconfident' if u.ratio < 1 else 'too cautious'}."


def _details(u: Uncertainty, evidence: Evidence) -> Iterator[str]:
    yield (
        f"Predicted over observed variance of the reconstruction: {u.ratio:.2f} (1 is right): "
        f"errors are {math.sqrt(1 / u.ratio):.2f} times as large as it says."
    )
    yield _ranking(u, evidence.test_rows)
    if nothing_at_all(evidence) and is_right_size(u):
        yield (
            f"It says so itself: it predicts {u.predicted:.2f} of the latent's own variance, "
            "where 1 means that nothing is known."
        )
    if evidence.new_groups and not is_right_size(u):
        yield _shift(u, evidence.ratio_validation)


def _ranking(u: Uncertainty, test_rows: int) -> str:
    if u.cells == 0:
        return "No mask has enough rows for a correlation within it."
    text = (
        f"Correlation of uncertainty and error within masks: {number(u.within)}; variances like "
        f"these could reach {number(u.attainable)} if they were right ({u.rows} pairs in {u.cells} "
        f"cells). Pooled over masks it is {number(u.pooled)}"
    )
    text += ", in part because more was hidden." if u.pooled > u.within + 0.05 else "."
    if u.within < chance(u, test_rows):
        return text + f" Below {chance(u, test_rows):.2f} it can be chance."
    if u.within > SPREADS_TOO_LITTLE * u.attainable:
        return text + " More than that is reached: the variances spread less than the errors do."
    return text


def _shift(u: Uncertainty, validation: float) -> str:
    before = "was right" if RIGHT_SIZE[0] <= validation <= RIGHT_SIZE[1] else "was off already"
    return (
        "The test part has groups (subjects, weeks) that occur nowhere in training. On the "
        f"validation part the ratio {before} ({validation:.2f}); on the new groups it is "
        f"{u.ratio:.2f}. A shift between groups can not be seen in training on the old ones."
    )
