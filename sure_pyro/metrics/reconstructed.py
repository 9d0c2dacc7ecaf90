r"""How much of a modality was reconstructed, and whether that is more than its class.

R^2 against predicting the training mean b, over all entries of the target:

.. math:: R^2 = 1 - \frac{\sum_n \lVert t_n - r_n \rVert^2}{\sum_n \lVert t_n - b \rVert^2}

With class labels both sums split exactly, because deviations from class means are orthogonal to
the class means (t_c, r_c: mean truth and mean reconstruction of class c):

.. math::
   \sum_n \lVert t_n - r_n \rVert^2 = \sum_n \lVert (t_n - t_c) - (r_n - r_c) \rVert^2
                                    + \sum_n \lVert t_c - r_c \rVert^2,

so there is an R^2 within classes (first term, over :math:`\sum \lVert t_n - t_c \rVert^2`) and one
between them (second term, over :math:`\sum \lVert t_c - b \rVert^2`). Modalities that share the
class and nothing else have a high R^2 between and none within. The mean of n rows also holds 1/n
of the variance within: that share is counted within, where it belongs, and the split stays exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Num, Shaped

from sure_pyro.metrics import check
from sure_pyro.metrics.bootstrap import Interval, bootstrap_counts, interval

if TYPE_CHECKING:
    import pandas as pd

LITTLE, MOST, CLASS_ONLY = 0.1, 0.5, 0.05  # bounds on the lower ends of the intervals

MEANING = {
    "nothing": "no better than predicting the mean: do not trust this reconstruction",
    "little": "better than the mean, but less than a tenth of the variance is certain",
    "the class only": "which class it is, and nothing certain of what varies within a class",
    "part": "a tenth of the variance or more, for certain",
    "most": "half of the variance or more, for certain",
}


@dataclass(frozen=True)
class Reconstructability:
    """R^2 of a reconstruction with bootstrap intervals, and a verdict in words.

    Parameters
    ----------
    r2 : Interval
        Against predicting the training mean; 1 is perfect, below 0 is worse than the mean.
    between, within : Interval or None
        Its split by class, where labels were given.
    rows : int
        How many rows it rests on.
    verdict : str
        ``"nothing"``, ``"little"``, ``"the class only"``, ``"part"`` or ``"most"``.
    """

    r2: Interval
    between: Interval | None
    within: Interval | None
    rows: int
    verdict: str

    @property
    def meaning(self) -> str:
        """The verdict as a sentence."""
        return f"Reconstructed: {self.verdict} ({MEANING[self.verdict]})."

    def to_dataframe(self) -> pd.DataFrame:
        """Give one line per R^2: total and, with labels, between and within classes."""
        import pandas as pd

        parts = {"total": self.r2, "between classes": self.between, "within classes": self.within}
        return pd.DataFrame(
            [
                {"part": name, "r2": x.estimate, "lower": x.lower, "upper": x.upper}
                for name, x in parts.items()
                if x is not None
            ]
        )


def reconstructability(
    truth: Num[np.ndarray, "_N _D"],
    reconstruction: Num[np.ndarray, "_N _D"],
    baseline_mean: Num[np.ndarray, " _D"],
    labels: Shaped[np.ndarray, " _N"] | None = None,
    *,
    groups: Shaped[np.ndarray, " _N"] | None = None,
    level: float = 0.9,
    repetitions: int = 300,
    seed: int = 0,
) -> Reconstructability:
    """Measure how much of a target was reconstructed, and whether it was only the class.

    The verdict says only what the lower end of an interval supports, in this order:

    ============================================================  ==================
    lower end of R^2 at or below 0                                ``nothing``
    labels; between at least 0.1 and within below 0.05            ``the class only``
    lower end of R^2 below 0.1                                    ``little``
    lower end of R^2 below 0.5                                    ``part``
    otherwise                                                     ``most``
    ============================================================  ==================

    Parameters
    ----------
    truth, reconstruction : ndarray, shape (N, D)
        Of the rows in which the target was hidden. Flatten token sequences, and leave out tokens
        that do not exist.
    baseline_mean : ndarray, shape (D,)
        Mean of the target over the TRAINING rows.
    labels : ndarray of int or str, shape (N,), optional
        Class of each row. Classes with a single row say nothing about the variation within.
    groups : ndarray of str or int, shape (N,), optional
        Subjects or weeks: the bootstrap draws whole groups.

    Raises
    ------
    ValueError
        If the shapes differ, or there are fewer than two rows or groups.
    """
    truth, reconstruction = check.alike(
        {"truth": truth, "reconstruction": reconstruction}, ndim=(2,)
    )
    baseline = check.numbers("baseline_mean", baseline_mean)
    if baseline.shape != truth.shape[1:]:
        raise ValueError(
            f"`baseline_mean` needs shape {truth.shape[1:]}, one per entry of `truth`; "
            f"got {baseline.shape}."
        )
    check.fraction("level", level)
    counts = bootstrap_counts(len(truth), groups, repetitions, seed)
    counts = np.concatenate([np.ones((1, len(truth)), dtype=counts.dtype), counts])
    miss, spread = truth - reconstruction, truth - baseline
    r2 = _interval(_total(miss, spread, counts), level)
    if labels is None:
        return Reconstructability(r2, None, None, len(truth), _verdict(r2, None, None))
    between, within = _by_class(miss, spread, check.keys("labels", labels, len(truth)), counts)
    b, w = _interval(between, level), _interval(within, level)
    return Reconstructability(r2, b, w, len(truth), _verdict(r2, b, w))


def _verdict(r2: Interval, between: Interval | None, within: Interval | None) -> str:
    if r2.lower <= 0:
        return "nothing"
    if between and within and between.lower >= LITTLE and within.lower < CLASS_ONLY:
        return "the class only"
    if r2.lower < LITTLE:
        return "little"
    return "part" if r2.lower < MOST else "most"


def _total(miss: np.ndarray, spread: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """R^2 of each draw (R,), from the squared norms of the rows."""
    return _r2(counts @ np.square(miss).sum(1), counts @ np.square(spread).sum(1))


def _by_class(
    miss: np.ndarray, spread: np.ndarray, labels: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """R^2 between and within classes of each draw, each (R,).

    The class means are those of the draw, so their own uncertainty is in the interval.
    """
    member = (labels == np.unique(labels)[:, None]).astype(np.float64)  # (classes, N)
    parts = [
        # A class mean of a bootstrap draw is noisy twice: its rows were drawn, and drawn again.
        [_split(x, member * count, 1 if r == 0 else 2) for x in (miss, spread)]
        for r, count in enumerate(counts)
    ]
    (miss_b, miss_w), (spread_b, spread_w) = np.array(parts).transpose(1, 2, 0)
    return _r2(miss_b, spread_b), _r2(miss_w, spread_w)


def _split(x: np.ndarray, weight: np.ndarray, times: int) -> tuple[float, float]:
    """Split the sum of squared norms by class, for one weighting (classes, N) of the rows.

    Parameters
    ----------
    times : int
        How many times the sampling noise of a class mean is moved from between to within.
    """
    n = weight.sum(1)
    between = np.square(weight @ x).sum(1) / np.maximum(n, 1)
    within = weight @ np.square(x).sum(1) - between
    noise = times * within / np.maximum(n - 1, 1)
    return float((between - noise).sum()), float((within + noise).sum())


def _r2(miss: np.ndarray, spread: np.ndarray) -> np.ndarray:
    # A target without any spread has nothing to reconstruct: 0, neither infinite nor NaN.
    known = spread > 1e-12 * max(float(np.max(spread)), np.finfo(np.float64).tiny)
    return np.where(known, 1 - miss / np.where(known, spread, 1), 0.0)


def _interval(draws: np.ndarray, level: float) -> Interval:
    return interval(draws[0], draws[1:], level)  # the first "draw" is the data itself
