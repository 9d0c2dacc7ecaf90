"""Metrics of sentiment intensity between -3 and 3, as CMU-MOSI and CMU-MOSEI are scored.

Two conventions of the two classes are in use, and results of both are published. *Has0* keeps every
row and calls a sentiment of 0 positive; *Non0* leaves out the rows whose true sentiment is 0, and
calls a prediction of 0 negative. Seven and five classes are whole numbers, after clipping.

.. [Yu2021] MMSA, the toolkit in which these conventions are written down: Learning
   modality-specific representations with self-supervised multi-task learning. AAAI.
"""

import numpy as np
from jaxtyping import Shaped
from sklearn.metrics import f1_score

Sentiments = Shaped[np.ndarray, "*_N"]
"""Predicted or true sentiment of each row, ``(N,)`` or ``(N, 1)``."""


def mae(prediction: Sentiments, target: Sentiments) -> float:
    """Mean absolute error, in units of the sentiment."""
    y, t = _checked(prediction, target)
    return float(np.abs(y - t).mean())


def corr(prediction: Sentiments, target: Sentiments) -> float:
    """Pearson correlation; 0 where one of the two is constant, since it is not defined there."""
    y, t = _checked(prediction, target)
    if np.ptp(y) == 0 or np.ptp(t) == 0:
        return 0.0
    return float(np.corrcoef(y, t)[0, 1])


def has0_acc2(prediction: Sentiments, target: Sentiments) -> float:
    """Accuracy of the sign, all rows: a sentiment >= 0 is positive."""
    y, t = _has0(prediction, target)
    return float((y == t).mean())


def has0_f1(prediction: Sentiments, target: Sentiments) -> float:
    """F1 of the sign, weighted by the rows of each class, all rows: >= 0 is positive."""
    return _weighted_f1(*_has0(prediction, target))


def non0_acc2(prediction: Sentiments, target: Sentiments) -> float:
    """Accuracy of the sign, rows with a true sentiment other than 0: > 0 is positive.

    NaN where there is no such row.
    """
    y, t = _non0(prediction, target)
    return float((y == t).mean()) if len(t) else float("nan")


def non0_f1(prediction: Sentiments, target: Sentiments) -> float:
    """F1 of the sign, weighted by the rows of each class, without true zeros: > 0 is positive.

    NaN where there is no such row.
    """
    y, t = _non0(prediction, target)
    return _weighted_f1(y, t) if len(t) else float("nan")


def acc5(prediction: Sentiments, target: Sentiments) -> float:
    """Accuracy of whole numbers between -2 and 2; halves go to the even number."""
    return _whole_accuracy(prediction, target, 2)


def acc7(prediction: Sentiments, target: Sentiments) -> float:
    """Accuracy of whole numbers between -3 and 3; halves go to the even number."""
    return _whole_accuracy(prediction, target, 3)


SENTIMENT = {
    "mae": mae,
    "corr": corr,
    "has0_acc2": has0_acc2,
    "has0_f1": has0_f1,
    "non0_acc2": non0_acc2,
    "non0_f1": non0_f1,
    "acc5": acc5,
    "acc7": acc7,
}
"""Every metric here by its name."""


def sentiment_metrics(prediction: Sentiments, target: Sentiments) -> dict[str, float]:
    """All of them, by name.

    Parameters
    ----------
    prediction, target : array, shape ``(N,)`` or ``(N, 1)``
        Sentiments; true ones lie between -3 and 3.

    Raises
    ------
    TypeError
        If they are not numbers.
    ValueError
        If the shapes differ, there is no row, or a value is not finite.
    """
    return {name: metric(prediction, target) for name, metric in SENTIMENT.items()}


def _has0(prediction: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, t = _checked(prediction, target)
    return y >= 0, t >= 0


def _non0(prediction: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, t = _checked(prediction, target)
    return y[t != 0] > 0, t[t != 0] > 0


def _weighted_f1(y: np.ndarray, t: np.ndarray) -> float:
    return float(f1_score(t, y, average="weighted", zero_division=0))


def _whole_accuracy(prediction: np.ndarray, target: np.ndarray, limit: int) -> float:
    y, t = (np.round(np.clip(x, -limit, limit)) for x in _checked(prediction, target))
    return float((y == t).mean())


def _checked(prediction: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 ``(N,)``: sums over many rows lose digits in float32."""
    y, t = _numbers("prediction", prediction), _numbers("target", target)
    if y.shape != t.shape:
        raise ValueError(f"`prediction` and `target` need one shape; got {y.shape} and {t.shape}.")
    return y, t


def _numbers(name: str, value: np.ndarray) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"`{name}` needs numbers; got dtype {array.dtype}.")
    if array.shape not in ((array.size,), (array.size, 1)) or array.size == 0:
        raise ValueError(f"`{name}` needs shape (N,) or (N, 1), N > 0; got {array.shape}.")
    wrong = np.flatnonzero(~np.isfinite(array))
    if len(wrong):
        raise ValueError(
            f"`{name}` has NaN or infinity in {len(wrong)} rows (first: {wrong[:5].tolist()}); "
            "leave out rows whose sentiment is not known."
        )
    return array.astype(np.float64).reshape(-1)
