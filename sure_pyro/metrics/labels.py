r"""F1 of multi-label predictions, as MM-IMDB is scored: micro, macro, weighted, samples.

.. math:: F_1 = \frac{2\,TP}{2\,TP + FP + FN}

over all entries (micro), per label and averaged (macro; weighted by the rows that bear the label),
or per row and averaged (samples). Where nothing is true and nothing is predicted, for a label or a
row, F1 is not defined and counts as 0, as in the official evaluation of MMBT.
"""

import numpy as np
from jaxtyping import Bool, Shaped

AVERAGES = ("micro", "macro", "weighted", "samples")
Matrix = Shaped[np.ndarray, "*_N"]
"""Of labels or their probabilities, ``(N, C)``."""


def predicted_labels(probability: Matrix, threshold: float = 0.5) -> Bool[np.ndarray, "N C"]:
    """Labels whose probability lies above the threshold; not those on it.

    Parameters
    ----------
    probability : array, shape ``(N, C)``
        In [0, 1]: the sigmoid of the logits.
    threshold : float

    Raises
    ------
    TypeError
        If these are no numbers.
    ValueError
        If the shape is another, there is no entry, or one is outside [0, 1].
    """
    p = _matrix("probability", probability)
    if not ((p >= 0) & (p <= 1)).all():  # written so that NaN fails too
        raise ValueError(
            f"`probability` must lie in [0, 1]; got {p.min():.3g} to {p.max():.3g}. If these are "
            "logits, pass their sigmoid."
        )
    return p > threshold


def label_f1(prediction: Matrix, target: Matrix, average: str) -> float:
    """F1 in [0, 1] of predicted labels.

    Parameters
    ----------
    prediction, target : array, shape ``(N, C)``
        0 and 1, or bool.
    average : {"micro", "macro", "weighted", "samples"}

    Raises
    ------
    TypeError
        If these are no numbers.
    ValueError
        If shapes differ, an entry is neither 0 nor 1, or `average` is none of the choices.
    """
    if average not in AVERAGES:
        raise ValueError(f"`average` must be one of {AVERAGES}; got {average!r}.")
    y, t = _labels("prediction", prediction), _labels("target", target)
    if y.shape != t.shape:
        raise ValueError(f"`prediction` and `target` need one shape; got {y.shape} and {t.shape}.")
    axis = {"micro": (0, 1), "samples": 1}.get(average, 0)
    # scikit-learn takes a single label (N, 1) for two classes, and scores both: hence by hand.
    wrong, twice = (y != t).sum(axis), 2 * (y & t).sum(axis)  # FP + FN, 2 TP
    f1 = twice / np.maximum(twice + wrong, 1)
    if average == "weighted":
        return float((t.sum(0) * f1).sum() / max(t.sum(), 1))
    return float(np.mean(f1))


def label_metrics(
    probability: Matrix,
    target: Matrix,
    threshold: float = 0.5,
) -> dict[str, float]:
    """All four, by name: ``micro_f1``, ``macro_f1``, ``weighted_f1``, ``samples_f1``.

    Parameters
    ----------
    probability : array, shape ``(N, C)``
    target : array, shape ``(N, C)``
        0 and 1, or bool.
    threshold : float
        See `predicted_labels`.
    """
    prediction = predicted_labels(probability, threshold)
    return {f"{average}_f1": label_f1(prediction, target, average) for average in AVERAGES}


def _labels(name: str, value: np.ndarray) -> np.ndarray:
    """Bool matrix."""
    array = _matrix(name, value)
    if not ((array == 0) | (array == 1)).all():
        raise ValueError(f"`{name}` must hold 0 and 1; got {array.min():.3g} to {array.max():.3g}.")
    return array.astype(bool)


def _matrix(name: str, value: np.ndarray) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"`{name}` needs numbers; got dtype {array.dtype}.")
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"`{name}` needs shape (N, C), neither 0; got {array.shape}.")
    return array
