"""When to hand a case to a human: thresholds per mask pattern with a finite-sample guarantee.

A score means different things with different modalities missing, so one threshold for all is too
strict for some patterns and too generous for others. Two goals:

``max_risk``
    the mean loss of the accepted rows is at most r, with probability ``1 - delta`` over the
    calibration rows (`risk_control`): in every pattern at once, or, with ``scope="overall"``, in
    all rows together, with the thresholds where the patterns' expected losses are equal. The
    first is the stronger promise and needs hundreds of rows per pattern;
``budget``
    a fraction b of all rows is deferred, spread over the patterns so that the accepted rows err
    least (`allocation`). An optimum of the calibration rows, without a promise on the risk.

``static=True`` makes the one threshold that both are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped

from sure_pyro.calibration.arrays.allocation import allocate, allocate_risk, cut
from sure_pyro.calibration.arrays.risk_control import controlled_threshold
from sure_pyro.metrics import check
from sure_pyro.metrics.patterns import Pattern, PerPattern, rows_by_pattern
from sure_pyro.metrics.risk_curves import RiskCoverage, risk_coverage
from sure_pyro.stored import Stored

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Decisions:
    """What a policy decided, row by row, each (N,): `accept`, the `threshold` used, a `reason`."""

    accept: Bool[np.ndarray, " N"]
    threshold: Float[np.ndarray, " N"]
    reason: Shaped[np.ndarray, " N"]


@dataclass(frozen=True, eq=False)
class DeferralReport:
    """A policy on rows with known loss, overall and per pattern.

    Parameters
    ----------
    coverage : PerPattern
        Accepted fraction.
    risk : PerPattern
        Mean loss of the accepted rows; NaN where none is accepted. Its `rows` count those.
    """

    coverage: PerPattern
    risk: PerPattern

    def to_dataframe(self) -> pd.DataFrame:
        """Give one line per pattern and one for all rows."""
        table = self.coverage.to_dataframe().rename(columns={"value": "coverage"})
        table["accepted"] = [self.risk.total_rows, *self.risk.rows]
        table["risk"] = [self.risk.overall, *self.risk.value]
        return table


@dataclass(frozen=True, eq=False)
class DeferralThresholds(Stored):
    """Thresholds per mask pattern; make one with `fit`. Rows with ``score < threshold`` pass.

    Parameters
    ----------
    thresholds : dict of float
        ``-inf`` defers every row of a pattern, ``inf`` accepts every one.
    fallback : float
        Threshold of a pattern that was never seen.
    rows : dict of int
        Calibration rows of each pattern.
    goal : {"max_risk", "budget"}
    value, delta : float
        The wanted risk or budget, and the probability that the promise on the risk fails.
    static : bool
        One threshold for all patterns.
    """

    thresholds: Mapping[Pattern, float]
    fallback: float
    rows: Mapping[Pattern, int]
    goal: str
    value: float
    delta: float
    static: bool

    @classmethod
    def fit(
        cls,
        score: Num[np.ndarray, " _N"],
        loss: Shaped[np.ndarray, " _N"],
        pattern: Shaped[np.ndarray, " _N"],
        *,
        max_risk: float | None = None,
        budget: float | None = None,
        delta: float = 0.05,
        scope: Literal["pattern", "overall"] = "pattern",
        static: bool = False,
        group: Shaped[np.ndarray, " _N"] | None = None,
        seed: int = 0,
    ) -> DeferralThresholds:
        """Find the thresholds on held-out rows.

        Parameters
        ----------
        score : ndarray, shape (N,)
            Uncertainty; larger is deferred first.
        loss : ndarray, shape (N,)
            In [0, 1]: ``[prediction wrong]``, or ``abs(error) > tolerance``.
        pattern : ndarray of str or int, shape (N,)
        max_risk, budget : float in (0, 1)
            Exactly one of them: the largest mean loss among the accepted rows, or the fraction of
            rows to defer.
        delta : float in (0, 1)
            With `max_risk`: how often, over calibration sets, the promise may fail.
        scope : {"pattern", "overall"}
            Where `max_risk` holds. Within every one of K patterns: each spends ``delta / K``, so
            it needs about ``log(K / delta) / max_risk`` rows without a single error before it
            accepts anything. Overall: half of the rows shapes the thresholds, half tests them.
        static : bool
            One threshold for all patterns; its promise holds overall.
        group : ndarray of str or int, shape (N,), optional
            Rows that hang together: one row under several masks, a subject. By default each row
            stands alone. They decide how far the patterns differ beyond chance.
        seed : int
            Of the random halves and folds.

        Raises
        ------
        ValueError
            If not exactly one goal is given, a loss is outside [0, 1], or shapes differ.
        """
        score, loss, pattern = _checked(score, loss, pattern)
        goal, value = _goal(max_risk, budget)
        check.fraction("delta", delta)
        check.choice("scope", scope, ("pattern", "overall"))
        group = None if group is None else check.keys("group", group, len(score))
        cells = dict(rows_by_pattern(pattern))
        fallback = _one_threshold(score, loss, goal, value, delta)
        if static:
            thresholds = dict.fromkeys(cells, fallback)
        elif goal == "budget":
            thresholds = allocate(score, loss, pattern, value, group, seed)
        elif scope == "overall":
            thresholds, fallback = allocate_risk(score, loss, pattern, value, delta, seed, group)
        else:
            share = delta / len(cells)
            thresholds = {
                p: controlled_threshold(score[k], loss[k], value, share) for p, k in cells.items()
            }
            fallback = float("-inf")  # nothing can be promised about a pattern without a row
        rows = {p: len(k) for p, k in cells.items()}
        return cls(thresholds, fallback, rows, goal, value, float(delta), static)

    def decide(
        self, score: Num[np.ndarray, " _N"], pattern: Shaped[np.ndarray, " _N"]
    ) -> Decisions:
        """Accept or defer each row, with the reason."""
        score = check.numbers("score", score)
        pattern = check.known_kind("pattern", pattern, len(score), self.thresholds)
        threshold = self._threshold_of(pattern)
        rows = zip(score, threshold, pattern.tolist(), strict=True)
        reason = np.array([self._reason(*row) for row in rows], dtype=str)
        return Decisions(score < threshold, threshold, reason)

    def evaluate(
        self,
        score: Num[np.ndarray, " _N"],
        loss: Shaped[np.ndarray, " _N"],
        pattern: Shaped[np.ndarray, " _N"],
    ) -> DeferralReport:
        """Coverage and risk on rows whose loss is known: not those of the fit."""
        score, loss, pattern = _checked(score, loss, pattern)
        pattern = check.known_kind("pattern", pattern, len(score), self.thresholds)
        accept = score < self._threshold_of(pattern)
        cells = list(rows_by_pattern(pattern))
        names = np.array([p for p, _ in cells])
        rows = np.array([len(k) for _, k in cells])
        accepted = np.array([accept[k].sum() for _, k in cells])
        risk = np.array([_mean(loss[k][accept[k]]) for _, k in cells])
        coverage = accepted / rows
        overall = _mean(loss[accept])
        return DeferralReport(
            PerPattern(float(accept.mean()), names, coverage, rows, len(score), "coverage"),
            PerPattern(overall, names, risk, accepted, int(accept.sum()), "risk"),
        )

    def _threshold_of(self, pattern: np.ndarray) -> np.ndarray:
        return np.array([self.thresholds.get(p, self.fallback) for p in pattern.tolist()])

    def _reason(self, score: float, threshold: float, pattern: Pattern) -> str:
        seen = pattern in self.thresholds
        known = f"pattern {pattern!r}" if seen else f"pattern {pattern!r}, never seen in the fit"
        if threshold == -np.inf:
            if self.goal == "budget":
                return f"deferred: {known} errs more than others, all of it is handed over"
            rows = self.rows.get(pattern, 0)
            return f"deferred: {rows} calibration rows of {known} promise nothing at this risk"
        verdict, sign = ("accepted", "<") if score < threshold else ("deferred", ">=")
        return f"{verdict}: score {score:.4g} {sign} {threshold:.4g} for {known}"


def risk_coverage_by_pattern(
    score: Num[np.ndarray, " _N"],
    loss: Shaped[np.ndarray, " _N"],
    pattern: Shaped[np.ndarray, " _N"],
    minimum_rows: int = 2,
) -> dict[Pattern, RiskCoverage]:
    """Risk-coverage curve of each pattern that has at least `minimum_rows` rows."""
    u, loss = check.alike({"score": score, "loss": loss})
    cells = rows_by_pattern(check.keys("pattern", pattern, len(u)))
    return {p: risk_coverage(u[k], loss[k]) for p, k in cells if len(k) >= minimum_rows}


def _checked(
    score: np.ndarray, loss: np.ndarray, pattern: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    score, loss = check.alike({"score": score, "loss": loss})
    if loss.min() < 0 or loss.max() > 1:
        raise ValueError(
            f"`loss` must lie in [0, 1]; got {loss.min():.3g} to {loss.max():.3g}. For regression "
            "pass `abs(error) > tolerance`, or a bounded loss divided by its bound."
        )
    return score, loss, check.keys("pattern", pattern, len(score))


def _goal(max_risk: float | None, budget: float | None) -> tuple[str, float]:
    if (max_risk is None) == (budget is None):
        raise ValueError(
            f"Give exactly one of `max_risk` and `budget`; got {max_risk} and {budget}."
        )
    if budget is not None:
        return "budget", check.fraction("budget", budget)
    return "max_risk", check.fraction("max_risk", float(max_risk or 0))


def _one_threshold(
    score: np.ndarray, loss: np.ndarray, goal: str, value: float, delta: float
) -> float:
    if goal == "max_risk":
        return controlled_threshold(score, loss, value, delta)
    accepted = len(score) - int(np.floor(value * len(score)))
    accept = np.zeros(len(score), dtype=bool)
    accept[np.argsort(score, kind="stable")[:accepted]] = True
    return cut(score, accept)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
