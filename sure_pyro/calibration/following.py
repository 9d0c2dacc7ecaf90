r"""Sizes that follow outcomes: where the world drifts, no held-out row is like the rows to come.

But outcomes become known. After each row a number of its mask pattern takes a step of size eta,
from what was claimed towards what came:

.. math::
    \log q_{t+1} &= \log q_t + \eta\,\bigl(1[s_t > q_t] - (1 - \text{level})\bigr)
        && \text{quantile of conformal scores} \\
    f_{t+1} &= f_t + \eta\,(e_t^2 - f_t v_t) / u && \text{factor on variances} \\
    \log T_{t+1} &= \log T_t + \eta\,(1[\text{wrong}_t] - d_t) / 0.2
        && \text{temperature; } d_t = 1 - \max_c p'_c

u is the mean variance in the fit, so that no step has a unit. Summed up, each says the same: in
whatever order outcomes come, after T rows the mean claim (coverage, f v, d) differs from the mean
of what came (level, e^2, share wrong) by

.. math:: \frac{\log(q_{T+1} / q_1)}{\eta T},\quad \frac{u\,(f_1 - f_{T+1})}{\eta T},\quad
          \frac{0.2\,\log(T_1 / T_{T+1})}{\eta T}

in size: for quantiles Gibbs and Candes 2021, arXiv 2106.00170, and on the scores themselves
Angelopoulos, Candes and Tibshirani 2023, arXiv 2307.16895; for a factor it is the least mean
squares rule (Widrow and Hoff 1960), an average of the last 1 / eta rows or so. The claims are those
of each row before its outcome. Bounds that keep numbers possible: q and f stay above `SMALLEST`, a
step of f ends at e^2 / v at the furthest, T stays within its range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from sure_pyro.calibration.patterns import Pattern

SMALLEST = 1e-6
"""Of quantiles (in standard deviations, or in probability) and factors: they can rise again."""
DOUBT_PER_LOG_T = 0.2
"""About what the doubt changes by with log T: at most 0.22 between two classes."""


class Followed(NamedTuple):
    """Where a number has come to, and after how many rows."""

    value: float
    rows: int


def followed_state(followed: Mapping[Pattern, Followed]) -> list[dict[str, Any]]:
    """Give plain lists, strings and numbers, ready for JSON (whose keys are strings only)."""
    return [{"pattern": name, **f._asdict()} for name, f in followed.items()]


def followed_of(state: list[dict[str, Any]]) -> dict[Pattern, Followed]:
    """Rebuild what `followed_state` gave."""
    return {f["pattern"]: Followed(f["value"], f["rows"]) for f in state}


def track_quantile(
    scores: Float[np.ndarray, "n D"], q: float, level: float, step: float
) -> tuple[Float[np.ndarray, " n"], float]:
    """Quantile before each row, and after the last.

    A row with several scores counts the share of them above the quantile; NaN is left out.
    """
    used = np.empty(len(scores))
    known = (~np.isnan(scores)).sum(1)
    for t, score in enumerate(scores):
        used[t] = q
        above = (score > q).sum() / known[t]
        q = max(q * math.exp(step * (above - (1 - level))), SMALLEST)
    return used, q


def track_factor(
    variance: Float[np.ndarray, " n"],
    squared_error: Float[np.ndarray, " n"],
    f: float,
    unit: float,
    step: float,
) -> tuple[Float[np.ndarray, " n"], float]:
    """Factor on each variance before its error, and after the last."""
    used = np.empty(len(variance))
    for t, (v, e2) in enumerate(zip(variance, squared_error, strict=True)):
        used[t] = f
        gain = step / max(unit, step * v)
        f = max(f + gain * (e2 - f * v), SMALLEST)
    return used, f


def track_temperature(
    doubt: Callable[[int, float], float],
    wrong: Bool[np.ndarray, " n"],
    T: float,
    limits: tuple[float, float],
    step: float,
) -> tuple[Float[np.ndarray, " n"], float]:
    """Temperature before each label, and after the last; `doubt(t, T)` is that of row t."""
    used = np.empty(len(wrong))
    for t, missed in enumerate(wrong):
        used[t] = T
        T *= math.exp(step / DOUBT_PER_LOG_T * (missed - doubt(t, T)))
        T = min(max(T, limits[0]), limits[1])
    return used, T
