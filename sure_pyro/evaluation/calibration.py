"""All metrics of a prediction in one table: overall and per mask pattern, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from sure_pyro.data import Batch
from sure_pyro.evaluation.observed import numbers
from sure_pyro.evaluation.predicted import Predicted
from sure_pyro.evaluation.rows import check_took, pattern_in, target_in
from sure_pyro.evaluation.slices import OVERALL
from sure_pyro.metrics import categorical_brier, compute, zero_one_loss
from sure_pyro.metrics.bootstrap import bootstrap_counts
from sure_pyro.metrics.intervals import LEVELS
from sure_pyro.metrics.patterns import rows_by_pattern
from sure_pyro.metrics.registry import CLASSES, NUMBERS, RANKING
from sure_pyro.models import Prediction

Arrays = Mapping[str, Mapping[str, np.ndarray]]


def calibration_table(
    prediction: Prediction,
    batch: Batch,
    *,
    method: str | None = None,
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
    method : str, optional
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
        labels, come one by one; for classes the output is ``"class"``. Metrics are those of
        `sure_pyro.metrics.METRICS`; coverage and width are called ``"coverage/0.9"``,
        ``"width/0.9"``. For classes AURC is of the error rate, and the other rankings are of the
        uncertainty score, 1 minus the largest probability, against the Brier score; for numbers
        all are of the variance against the squared error.
        `docs/calibration.md` says how to read each.

    Raises
    ------
    ValueError
        If the batch has no targets or is another one, its task or names of classes do not fit (they
        may be in another order, or fewer), or the prediction did not take the method.
    """
    method = method or prediction.methods[0]
    check_took(prediction, method)
    pattern = pattern_in(prediction)
    if groups is None:
        own = None if batch.group is None else batch.group.cpu().numpy()
        groups = np.arange(len(pattern)) if own is None else own
    cells = [(OVERALL, np.arange(len(pattern))), *rows_by_pattern(pattern)]
    lines = []
    for output, arrays in _outputs(Predicted.of(prediction, method), prediction, batch):
        for name, rows in cells:
            if name != OVERALL and len(rows) < minimum_rows:
                continue
            found = _with_intervals(
                _take(arrays, rows), levels, groups[rows], repetitions, interval, seed
            )
            found.insert(0, "pattern", name)
            found.insert(0, "output", output)
            lines.append(found.assign(rows=len(rows)))
    return pd.concat(lines, ignore_index=True)


def _outputs(
    predicted: Predicted, prediction: Prediction, batch: Batch
) -> Iterator[tuple[str, Arrays]]:
    """Give for every output its name and the arrays that its metrics are computed from."""
    y = target_in(prediction, batch)
    if prediction.task == "classification":
        assert predicted.probability is not None
        yield "class", _of_classes(predicted.probability, y)
        return
    y = y.reshape(len(y), -1)
    for c, name in enumerate(prediction.outputs):
        if predicted.probability is not None:
            p = predicted.probability[:, c]
            yield name, _of_classes(np.stack([1 - p, p], 1), y[:, c].astype(np.int64))
        else:
            assert predicted.variance is not None
            one = Predicted(predicted.mean[:, [c]], predicted.variance[:, [c]])
            yield name, _of_numbers(one, y[:, [c]].astype(np.float64))


def _of_classes(p: np.ndarray, y: np.ndarray) -> Arrays:
    wrong = zero_one_loss(p, y)
    ranking = {"loss": wrong, "e": categorical_brier(p, y), "u": 1 - p.max(1)}
    return {RANKING: ranking, CLASSES: {"probability": p, "label": y, "right": 1 - wrong}}


def _of_numbers(predicted: Predicted, y: np.ndarray) -> Arrays:
    arrays = numbers(predicted, y)
    u, e = arrays["variance"][:, 0], arrays["squared_error"][:, 0]
    ranking = {"score": 1 - e / (y.var() or 1.0), "loss": e, "e": e, "u": u}
    return {RANKING: ranking, NUMBERS: arrays}


def _take(arrays: Arrays, rows: np.ndarray) -> Arrays:
    return {kind: {name: x[rows] for name, x in given.items()} for kind, given in arrays.items()}


def _with_intervals(
    arrays: Arrays,
    levels: Sequence[float],
    groups: np.ndarray,
    repetitions: int,
    level: float,
    seed: int,
) -> pd.DataFrame:
    """Value of every metric with its bootstrap interval.

    The draws are shifted so that their mean is the value: a resample holds rows twice, which by
    itself inflates every binned error.
    """
    value = pd.Series(compute(arrays, levels), name="value")
    table = value.rename_axis("metric").reset_index().assign(lower=np.nan, upper=np.nan)
    if repetitions == 0 or len(np.unique(groups)) < 2:
        return table
    rows = np.arange(len(groups))
    samples = (np.repeat(rows, n) for n in bootstrap_counts(len(rows), groups, repetitions, seed))
    draws = pd.DataFrame([compute(_take(arrays, k), levels) for k in samples])
    draws = draws.replace([np.inf, -np.inf], np.nan)  # a sample without an error has no ratio
    shift = value - draws.mean()
    for bound, q in (("lower", (1 - level) / 2), ("upper", (1 + level) / 2)):
        table[bound] = (draws.quantile(q) + shift).to_numpy()
    return table
