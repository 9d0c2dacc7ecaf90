"""Smallest sets of classes that hold a wanted probability, by what a model predicts.

The classes' counterpart of central intervals: if the probabilities are right, a set of total
probability 0.9 holds the right class at least nine times in ten (a little more often, because the
last class that is taken overshoots). `sure_pyro.calibration.arrays.ConformalSets` makes sets that
hold whatever the probabilities are worth.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int, Num

from sure_pyro.metrics import check


def probable_sets(probability: Num[np.ndarray, "_N _C"], level: float) -> Bool[np.ndarray, "_N _C"]:
    """Most probable classes of each row, as many as it takes to reach `level`.

    Examples
    --------
    >>> probable_sets(np.array([[0.5, 0.3, 0.2]]), 0.7)
    array([[ True,  True, False]])
    """
    p = check.probabilities("probability", probability)
    check.fraction("level", level)
    order = np.argsort(-p, axis=1, kind="stable")
    sorted_p = np.take_along_axis(p, order, 1)
    # 1e-9: 0.5 + 0.4 may come out a rounding error below 0.9, and would take one class too many.
    taken = sorted_p.cumsum(1) - sorted_p < level - 1e-9
    contains = np.zeros_like(taken)
    np.put_along_axis(contains, order, taken, 1)
    return contains


def set_coverage(
    probability: Num[np.ndarray, "_N _C"], label: Int[np.ndarray, " _N"], level: float
) -> float:
    """Fraction of rows whose `probable_sets` hold the right class."""
    contains = probable_sets(probability, level)
    y = check.labels("label", label, *contains.shape)
    return float(contains[np.arange(len(y)), y].mean())


def set_size(probability: Num[np.ndarray, "_N _C"], level: float) -> float:
    """Mean number of classes in `probable_sets`."""
    return float(probable_sets(probability, level).sum(1).mean())
