"""Top-k accuracy: how often the true class is among the k that the model holds most likely."""

import numpy as np
from jaxtyping import Shaped


def top_k_accuracy(
    score: Shaped[np.ndarray, "*_N"], target: Shaped[np.ndarray, "*_N"], k: int
) -> float:
    """Share of rows, in [0, 1], with fewer than k other classes that score as high as the true one.

    Equal scores count against the model, so that one which says nothing is right about nothing
    (for k < K).

    Parameters
    ----------
    score : array, shape ``(N, K)``
        Of each class, the higher the likelier: probabilities or logits.
    target : array, shape ``(N,)``
        Classes 0..K-1.
    k : int
        From 1, plain accuracy, to K.

    Raises
    ------
    TypeError
        If scores are no numbers, or classes no integers.
    ValueError
        If shapes do not fit, a score is not finite, or a class or `k` is out of range.
    """
    s, t = _scores(score), _classes(target)
    N, K = s.shape
    if t.shape != (N,):
        raise ValueError(f"`target` needs shape ({N},), one class per row; got {t.shape}.")
    if t.min() < 0 or t.max() >= K:
        raise ValueError(f"`target` must lie in 0..{K - 1}; got {t.min()} to {t.max()}.")
    if not 1 <= k <= K:
        raise ValueError(f"`k` must lie in 1..{K}, the number of classes; got {k}.")
    at_least_as_high = (s >= s[np.arange(N), t][:, None]).sum(1)  # the true one among them
    return float((at_least_as_high <= k).mean())


def _scores(value: np.ndarray) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"`score` needs numbers; got dtype {array.dtype}.")
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"`score` needs shape (N, K), neither 0; got {array.shape}.")
    wrong = np.flatnonzero(~np.isfinite(array).all(1))
    if len(wrong):
        raise ValueError(
            f"`score` has NaN or infinity in {len(wrong)} rows (first: {wrong[:5].tolist()})."
        )
    return array


def _classes(value: np.ndarray) -> np.ndarray:
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"`target` needs integer classes; got dtype {array.dtype}.")
    return array
