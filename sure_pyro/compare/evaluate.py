"""Every metric of one model on every slice of the evaluation, as tidy lines."""

from __future__ import annotations

from typing import Any

from sure_pyro.compare.hidden_scores import HiddenScores
from sure_pyro.compare.outcome import Outcome
from sure_pyro.compare.scorer import Scorer
from sure_pyro.compare.slices import slices
from sure_pyro.compare.task_scores import TaskScores
from sure_pyro.data.masked_rows import MaskedRows


def evaluate(outcome: Outcome, masked: MaskedRows, seed: int) -> list[dict[str, Any]]:
    """Score an outcome.

    Parameters
    ----------
    outcome : Outcome
    masked : MaskedRows
        With targets.
    seed : int
        Of the simulated attainable correlations.

    Returns
    -------
    list of dict
        One for each slice and metric: ``kind``, ``slice``, ``rows``, ``metric``, ``value``.
    """
    pattern = masked.pattern
    task = TaskScores.of(Scorer.of(masked.batch), outcome, pattern)
    hidden = HiddenScores.of(outcome.hidden, pattern, seed)
    lines = []
    for kind, name, rows in slices(masked):
        found = task.of_rows(rows) | (hidden.of_rows(rows) if hidden else {})
        where = {"kind": kind, "slice": name, "rows": int(rows.sum())}
        lines += [where | {"metric": m, "value": v} for m, v in found.items()]
    return lines
