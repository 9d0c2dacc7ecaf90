r"""The largest threshold whose risk among the accepted rows is provably at most r.

Learn then Test (Angelopoulos et al. 2021, arXiv 2110.01052): "the risk at this threshold exceeds
r" is a hypothesis with a p-value, and thresholds are tested in a fixed order, from strict to
generous, until one is not rejected. Every rejected threshold is safe with probability 1 - delta.

Accept the rows with ``score < t``. The thresholds are the observed scores themselves, which costs
nothing: let J be the first of them beyond which the true risk exceeds r. Given how many rows lie
below it, their losses are independent draws with a mean of at least r, so the p-value at J is
valid although J is random, and an error needs J to be rejected. A chain that begins beyond J
begins at a fixed rank; given that score the rows below are independent draws again. The promise
needs exchangeable rows and a risk that crosses r once as t grows.

p-values for the mean of n losses: exact binomial for losses 0 and 1; Hoeffding-Bentkus (Bates et
al. 2021, arXiv 2101.02703) for losses in [0, 1].
"""

from __future__ import annotations

import numpy as np
import scipy.special
import scipy.stats
from jaxtyping import Float, Num


def risk_p_value(
    total_loss: Num[np.ndarray, "*K"], rows: Num[np.ndarray, "*K"], max_risk: float, binary: bool
) -> Float[np.ndarray, "*K"]:
    """Test "the mean loss is above `max_risk`" after `rows` losses that sum to `total_loss`.

    Small values speak for a risk of at most `max_risk`. Exact for losses 0 and 1.
    """
    n, total = np.asarray(rows, dtype=np.float64), np.asarray(total_loss, dtype=np.float64)
    if binary:
        return scipy.stats.binom.cdf(total, n, max_risk)
    mean = np.minimum(np.divide(total, n, out=np.ones_like(total), where=n > 0), max_risk)
    hoeffding = np.exp(-n * _relative_entropy(mean, max_risk))
    bentkus = np.e * scipy.stats.binom.cdf(np.ceil(total), n, max_risk)
    return np.minimum(np.minimum(hoeffding, bentkus), 1.0)


def controlled_threshold(
    score: np.ndarray, loss: np.ndarray, max_risk: float, delta: float
) -> float:
    """Find the largest t such that accepting ``score < t`` keeps the risk at most `max_risk`.

    Parameters
    ----------
    score, loss : ndarray, shape (n,)
        Losses in [0, 1]; rows exchangeable with those to come.
    max_risk, delta : float
        The risk holds with probability at least ``1 - delta`` over the n rows.

    Returns
    -------
    float
        ``-inf`` where nothing can be promised (accept none), ``inf`` where all can be accepted.

    Notes
    -----
    A chain of tests that begins with few rows dies from one early error, one that begins with many
    may begin beyond J. So several begin, at 1/4, 1/16, ... of the rows, as long as that many could
    pass without an error, and share `delta` equally.
    """
    binary = bool(np.isin(loss, (0, 1)).all())
    thresholds, rows, total = _candidates(score, loss)
    starts = _starts(len(score), max_risk, delta)
    passed = risk_p_value(total, rows, max_risk, binary) <= delta / len(starts)
    ends = [_chain(passed, rows >= start) for start in starts]
    return max((float(thresholds[i]) for i in ends if i is not None), default=float("-inf"))


def rows_needed(max_risk: float, delta: float) -> int:
    """Count the rows that must pass without an error to show a risk of `max_risk`."""
    return int(np.ceil(np.log(delta) / np.log1p(-max_risk)))


def _starts(n: int, max_risk: float, delta: float) -> list[int]:
    """Rows at which a chain of tests begins; they depend on the number of rows alone."""
    chains = max(1, int(np.log(max(n, 1) / rows_needed(max_risk, delta)) / np.log(4)))
    fewest = rows_needed(max_risk, delta / chains)
    return [max(n // 4**j, fewest) for j in range(1, chains + 1)]


def _candidates(score: np.ndarray, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds in rising order with the rows below each and the sum of their losses."""
    values, block, size = np.unique(score, return_inverse=True, return_counts=True)
    lost = np.bincount(block, weights=loss)
    below = np.concatenate([[0], np.cumsum(size)])
    total = np.concatenate([[0.0], np.cumsum(lost)])
    return np.append(values, np.inf), below, total


def _chain(passed: np.ndarray, tested: np.ndarray) -> int | None:
    """Index of the last hypothesis rejected before the first that is not; None if none is."""
    first = int(np.argmax(tested))
    if not tested.any() or not passed[first]:
        return None
    run = passed[first:]
    return first + (len(run) if run.all() else int(np.argmin(run))) - 1


def _relative_entropy(a: np.ndarray, b: float) -> np.ndarray:
    """Kullback-Leibler divergence of Bernoulli(a) from Bernoulli(b)."""
    return scipy.special.rel_entr(a, b) + scipy.special.rel_entr(1 - a, 1 - b)
