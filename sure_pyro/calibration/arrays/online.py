r"""Online updates: what was fitted moves with every outcome that becomes known.

Where the world drifts, no held-out row is like the rows to come. After each row a number of its
mask pattern takes a step of size eta, from what was predicted towards what was observed:

.. math::
    \log q_{t+1} &= \log q_t + \eta\,\bigl(1[s_t > q_t] - (1 - \text{level})\bigr)
        && \text{quantile of conformal scores s} \\
    f_{t+1} &= f_t + \eta\,(e_t^2 - f_t v_t) / u && \text{factor on variances v} \\
    \log T_{t+1} &= \log T_t + \eta\,(1[\text{wrong}_t] - d_t) / 0.2
        && \text{temperature; } d_t = 1 - \max_c p'_c

u is the mean variance in the fit, so that no step has a unit, and d is the predicted error rate.
Summed up over n rows of a pattern, in whatever order outcomes come, the mean of what was predicted
minus the mean of what was observed is

.. math:: \frac{\log(q_1 / q_{n+1})}{\eta n} \text{ (share not covered; predicted: } 1 -
          \text{level)}, \quad \frac{u\,(f_1 - f_{n+1})}{\eta n} \text{ (variance)},
          \quad \frac{0.2\,\log(T_1 / T_{n+1})}{\eta n} \text{ (error rate)}

(for quantiles Gibbs and Candes 2021, arXiv 2106.00170; on the scores themselves Angelopoulos,
Candes and Tibshirani 2023, arXiv 2307.16895). These go to zero as long as the numbers stay bounded:
scores between a > 0 and b keep a quantile within a and b, but for one step, and squared errors
below b keep a factor below b / min v. Scores that grow for ever are never caught.

Where outcomes of several rows become known together, their steps add up from where the number
stood, and the same holds for the predictions that were made from there. Too many steps at once lead
beyond where they aim at, so n rows together ask for eta of at most 1 / n (of a temperature:
0.2 / (m n), where m is the most that a predicted error rate of K classes changes by with log T),
and a larger one is refused.

Exceptions: no number falls below `SMALLEST`; a factor goes no further than to the ratio of observed
to predicted, which binds where the variances of rows that come together add up to more than
u / eta; a temperature keeps to its limits, and with K classes no temperature predicts more errors
than 1 - 1 / K.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from sure_pyro.metrics import check
from sure_pyro.metrics.patterns import Pattern, rows_by_pattern
from sure_pyro.stored import register

SMALLEST = 1e-12
"""Of quantiles (in standard deviations, or in probability) and factors: they can rise again."""
ERROR_PER_LOG_T = 0.2
"""About what a predicted error rate changes by with log T: at most 0.22 between two classes."""


@register
class OnlineValue(NamedTuple):
    """What online updates have brought a number to, and with how many rows."""

    value: float
    rows: int


Move = Callable[[Pattern, float, np.ndarray], float]
"""From a pattern, its number and rows whose outcomes became known together to its next number."""


def update_by_pattern(
    pattern: np.ndarray, start: Mapping[Pattern, OnlineValue], move: Move, together: bool
) -> tuple[Float[np.ndarray, " N"], dict[Pattern, OnlineValue]]:
    """Go through rows in order of time; the number of each before its outcome, and those after all.

    `start` has every pattern that comes. With `together` all outcomes become known after the last
    row.
    """
    used, after = np.empty(len(pattern)), {}
    for name, k in rows_by_pattern(pattern):
        value, rows = start[name]
        for t in [k] if together else k[:, None]:
            used[t] = value
            value = move(name, value, t)
        after[name] = OnlineValue(value, rows + len(k))
    return used, after


def check_step(step: float, pattern: np.ndarray, together: bool, largest: float = 1.0) -> None:
    """Refuse a step that leads beyond where the rows that come together aim at.

    Raises
    ------
    ValueError
        If `step` is not between 0 and 1, or n of them are above `largest`.
    """
    check.fraction("step", step)
    n = int(np.unique(pattern, return_counts=True)[1].max()) if together else 1
    if n * step > largest * (1 + 1e-9):
        raise ValueError(
            f"`step` {step:.3g} is too large for {n} rows of a pattern whose outcomes come "
            f"together: pass at most {largest / n:.2g}, or update with shorter batches, in order "
            "of time."
        )


def move_quantile(q: float, scores: Float[np.ndarray, "n D"], level: float, step: float) -> float:
    """Quantile after n rows of D scores each; a row counts the share of them above, NaN left out.

    A row without any known score tells nothing.
    """
    known = (~np.isnan(scores)).sum(1)
    scores, known = scores[known > 0], known[known > 0]
    missed = (scores > q).sum(1) / known
    return max(q * math.exp(step * (missed - (1 - level)).sum()), SMALLEST)


def move_factor(
    f: float,
    variance: Float[np.ndarray, " n"],
    squared_error: Float[np.ndarray, " n"],
    unit: float,
    step: float,
) -> float:
    """Factor on variances after n rows; where these are zero it predicts nothing, and stays."""
    v, e2 = float(variance.sum()), float(squared_error.sum())
    return max(f + step * (e2 - f * v) / max(unit, step * v), SMALLEST) if v > 0 else f


def move_temperature(
    T: float,
    predicted_error: Float[np.ndarray, " n"],
    wrong: Bool[np.ndarray, " n"],
    limits: tuple[float, float],
    step: float,
) -> float:
    """Temperature after n rows, with their predicted error rates at this temperature."""
    log_T = math.log(T) + step * float((wrong - predicted_error).sum()) / ERROR_PER_LOG_T
    return min(max(math.exp(log_T), limits[0]), limits[1])


def largest_temperature_step(num_classes: int) -> float:
    """Largest sum of the steps of a temperature over rows that come together."""
    return ERROR_PER_LOG_T / steepest_error(num_classes)


def steepest_error(num_classes: int) -> float:
    """Find the largest change of a predicted error rate with log T.

    It is that of one class ahead of K - 1 equal ones.
    """
    ahead = np.linspace(0, 20, 2001)  # by how much in logits
    p = 1 / (1 + (num_classes - 1) * np.exp(-ahead))
    return float((p * (1 - p) * ahead).max())
