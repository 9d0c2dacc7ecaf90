"""All metrics of a prediction in one table: overall and per mask pattern, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from sure_pyro.calibrated.arrays import as_float64
from sure_pyro.calibrated.maps import two_classes
from sure_pyro.calibrated.metrics import LEVELS, class_metrics, regression_metrics
from sure_pyro.calibrated.road import check_took
from sure_pyro.calibrated.rows import pattern_in, target_in
from sure_pyro.calibration.bootstrap import bootstrap_counts
from sure_pyro.calibration.patterns import rows_by_pattern
from sure_pyro.data import Batch
from sure_pyro.models import Prediction

OVERALL = "overall"
Metrics = Callable[..., dict[str, float]]


def calibration_table(
    prediction: Prediction,
    batch: Batch,
    *,
    road: str | None = None,
    levels: Sequence[float] = LEVELS,
    groups: Shaped[np.ndarray, " B"] | None = None,
    minimum_rows: int = 20,
    repetitions: int = 200,
    interval: float = 0.9,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute every metric of size and of ranking, overall and per mask pattern.

    Parameters
    ----------
    prediction : Prediction
    batch : Batch
        What was predicted, with targets.
    road : str, optional
        By default the one that the prediction reports.
    levels : sequence of float
        Of the intervals, or of the sets of most probable classes.
    groups : ndarray of str or int, shape (B,), optional
        What a bootstrap draws whole: the subject, or the row where a row occurs under several
        masks. By default the groups of the batch, or single rows.
    minimum_rows : int
        Patterns with fewer rows are left out.
    repetitions : int
        Of the bootstrap; 0 leaves the intervals out.
    interval : float in (0, 1)
        Confidence of the intervals.
    seed : int

    Returns
    -------
    DataFrame
        One line per output, pattern and metric: ``value`` between ``lower`` and ``upper`` (NaN
        where there was nothing to draw from), on ``rows`` rows. Outputs of a regression, and
        labels, come one by one; for classes the output is ``"class"``. Coverage and width are
        called ``"coverage/0.9"``, ``"width/0.9"``; the width of a set of classes is their number.
        `docs/calibration.md` says how to read each.

    Raises
    ------
    ValueError
        If the batch has no targets or is another one, its task or names of classes do not fit (they
        may be in another order, or fewer), or the prediction did not take the road.
    """
    road = road or prediction.roads[0]
    check_took(prediction, road)
    pattern = pattern_in(prediction)
    if groups is None:
        own = None if batch.group is None else batch.group.cpu().numpy()
        groups = np.arange(len(pattern)) if own is None else own
    cells = [(OVERALL, np.arange(len(pattern))), *rows_by_pattern(pattern)]
    lines = []
    for output, metrics, arrays in _problems(prediction, batch, road, levels):
        for name, rows in cells:
            if name != OVERALL and len(rows) < minimum_rows:
                continue
            some = [a[rows] for a in arrays]
            found = _with_intervals(metrics, some, groups[rows], repetitions, interval, seed)
            found.insert(0, "pattern", name)
            found.insert(0, "output", output)
            lines.append(found.assign(rows=len(rows)))
    return pd.concat(lines, ignore_index=True)


def _problems(
    prediction: Prediction, batch: Batch, road: str, levels: Sequence[float]
) -> Iterator[tuple[str, Metrics, list[np.ndarray]]]:
    """Give for every output its name, its metrics, and the arrays that they take."""
    classes = partial(class_metrics, levels=levels)
    regression = partial(regression_metrics, levels=levels)
    y = target_in(prediction, batch)
    if prediction.task == "classification":
        yield "class", classes, [as_float64(prediction.probabilities[road]), y]
        return
    y = y.reshape(len(y), -1)
    for c, name in enumerate(prediction.outputs):
        if prediction.task == "multilabel":
            p = two_classes(as_float64(prediction.probabilities[road])[:, c])
            yield name, classes, [p, y[:, c].astype(np.int64)]
        else:
            m = prediction.moments[road]
            moments = [as_float64(m.mean)[:, c], as_float64(m.variance)[:, c]]
            yield name, regression, [*moments, y[:, c].astype(np.float64)]


def _with_intervals(
    metrics: Metrics,
    arrays: list[np.ndarray],
    groups: np.ndarray,
    repetitions: int,
    level: float,
    seed: int,
) -> pd.DataFrame:
    """Value of every metric with its bootstrap interval.

    The draws are shifted so that their mean is the value: a resample holds rows twice, which by
    itself inflates every binned error.
    """
    value = pd.Series(metrics(*arrays), name="value")
    table = value.rename_axis("metric").reset_index().assign(lower=np.nan, upper=np.nan)
    if repetitions == 0 or len(np.unique(groups)) < 2:
        return table
    rows = np.arange(len(groups))
    samples = (np.repeat(rows, n) for n in bootstrap_counts(len(rows), groups, repetitions, seed))
    draws = pd.DataFrame([metrics(*(a[k] for a in arrays)) for k in samples])
    draws = draws.replace([np.inf, -np.inf], np.nan)  # a sample without an error has no ratio
    shift = value - draws.mean()
    for bound, q in (("lower", (1 - level) / 2), ("upper", (1 + level) / 2)):
        table[bound] = (draws.quantile(q) + shift).to_numpy()
    return table
