"""Differences between models, paired by seed, and ranks that say what is within noise.

Models of one seed share rows, backbone and masks, so their difference scatters less than each of
them. The mean difference over S seeds gets a Student interval with S - 1 degrees of freedom: with
three seeds it is wide (2.9 standard errors at 90 %), as it should be. One seed gives none, and then
nothing is certain. Intervals are not corrected for the number of pairs that one looks at.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.stats
from jaxtyping import Float

from sure_pyro.metrics.bootstrap import Interval
from sure_pyro.metrics.registry import Metric

LEVEL = 0.9


def paired_difference(
    a: Float[np.ndarray, " S"], b: Float[np.ndarray, " S"], level: float = LEVEL
) -> Interval:
    """Mean of a - b over seeds with its Student interval.

    Parameters
    ----------
    a, b : ndarray, shape (S,)
        One value per seed, in the same order; seeds in which one is NaN are left out.
    level : float

    Returns
    -------
    Interval
        From -inf to inf with fewer than two seeds; NaN with none.
    """
    both = np.isfinite(a) & np.isfinite(b)
    d = a[both] - b[both]
    if len(d) == 0:
        return Interval(float("nan"), float("nan"), float("nan"), level)
    if len(d) == 1:
        return Interval(float(d[0]), -float("inf"), float("inf"), level)
    half = scipy.stats.t.ppf((1 + level) / 2, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d))
    return Interval(float(d.mean()), float(d.mean() - half), float(d.mean() + half), level)


def ranks(values: pd.DataFrame, metric: Metric, level: float = LEVEL) -> pd.DataFrame:
    """Rank models by one metric, with the ranks that noise leaves open.

    Parameters
    ----------
    values : DataFrame
        One row per seed, one column per model.
    metric : Metric
        One that says which values are good.
    level : float
        Of the paired intervals.

    Returns
    -------
    DataFrame
        By model, the best first: ``mean``, ``sd``, ``rank`` (1 is best), ``best`` and ``worst``
        (1 + the number of models that are better for certain; the number of models minus those
        that are worse for certain), ``within_noise`` (not certainly worse than the first).
    """
    bad = pd.DataFrame({m: metric.badness(values[m].to_numpy()) for m in values})
    order = bad.mean().sort_values(kind="stable", na_position="last").index
    order = [m for m in order if np.isfinite(bad[m]).any()]
    worse = {
        (a, b): paired_difference(bad[a].to_numpy(), bad[b].to_numpy(), level).lower > 0
        for a in order
        for b in order
        if a != b
    }
    lines = []
    for position, m in enumerate(order):
        others = [o for o in order if o != m]
        lines.append(
            {
                "model": m,
                "mean": values[m].mean(),
                "sd": values[m].std(),
                "rank": position + 1,
                "best": 1 + sum(worse[m, o] for o in others),
                "worst": len(order) - sum(worse[o, m] for o in others),
                "within_noise": position == 0 or not worse[m, order[0]],
            }
        )
    columns = ["model", "mean", "sd", "rank", "best", "worst", "within_noise"]
    return pd.DataFrame(lines, columns=columns).set_index("model")
