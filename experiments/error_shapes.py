r"""Two modalities of which the second scatters around the first with errors of a given shape.

.. math::
    a \sim N(0, I), \qquad b = A a + \tau(a)\, \epsilon, \qquad
    \tau^2(a) = \exp(h a_1 - h^2 / 2), \qquad E[\epsilon] = 0, \quad E[\epsilon^2] = 1

with rows of A of length 1. Whatever the shape of epsilon, the conditional mean and variance of b
are the same and known: A a and tau^2, of mean 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

import sure_pyro as sp

ENTRIES = 4
"""Of each modality."""
SPREAD = 1.0
"""h, the standard deviation of log tau^2 over rows."""
DF = 3.0
"""Degrees of freedom of the heavy tails: the variance is finite, the fourth moment is not."""
NARROW = 0.3
"""Standard deviation of each of the two humps."""

SHAPES = ("gaussian", "student-t", "skewed", "bimodal")
KURTOSIS = {
    "gaussian": 3.0,
    "student-t": float("inf"),
    "skewed": 9.0,
    "bimodal": (1 - NARROW**2) ** 2 + 6 * (1 - NARROW**2) * NARROW**2 + 3 * NARROW**4,
}
"""E[eps^4]."""


class Known(NamedTuple):
    """Mean ``(N, D)`` and variance ``(N, 1)`` of b given a."""

    mean: np.ndarray
    variance: np.ndarray


def draw_errors(shape: str, size: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """Errors of mean 0 and variance 1.

    Parameters
    ----------
    shape : {"gaussian", "student-t", "skewed", "bimodal"}
        Skewed: an exponential, centred. Bimodal: two narrow humps, equally high.
    size : tuple of int
    draw : Generator

    Raises
    ------
    ValueError
        If there is no such shape.
    """
    if shape == "gaussian":
        return draw.standard_normal(size)
    if shape == "student-t":
        return draw.standard_t(DF, size) / np.sqrt(DF / (DF - 2))
    if shape == "skewed":
        return draw.standard_exponential(size) - 1
    if shape == "bimodal":
        side = np.where(draw.random(size) < 0.5, -1.0, 1.0)
        return side * np.sqrt(1 - NARROW**2) + NARROW * draw.standard_normal(size)
    raise ValueError(f"`shape` must be one of {list(SHAPES)}; got {shape!r}.")


def data_of_shape(shape: str, num_rows: int, seed: int) -> tuple[sp.Batch, Known]:
    """Draw rows, and what is known of them; a seed gives one ``a`` and A for all shapes.

    The target is there because a batch needs one: the mean of b.
    """
    draw = np.random.default_rng([seed, 0])
    loadings = draw.standard_normal((ENTRIES, ENTRIES))
    loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
    a = draw.standard_normal((num_rows, ENTRIES))
    known = Known(a @ loadings.T, np.exp(SPREAD * a[:, :1] - SPREAD**2 / 2))
    errors = draw_errors(shape, a.shape, np.random.default_rng([seed, 1]))
    b = known.mean + np.sqrt(known.variance) * errors
    features = {"a": torch.from_numpy(a).float(), "b": torch.from_numpy(b).float()}
    return sp.Batch(features, target=torch.from_numpy(b.mean(1)).float()), known


def best_correlation(shape: str, entries: int = ENTRIES) -> float:
    r"""Pearson correlation of the true variance with the squared error, for endless rows.

    Both averaged over a row's D entries. With :math:`E[\tau^4] = e^{h^2}` and kurtosis k

    .. math:: \rho = \sqrt{\frac{e^{h^2} - 1}{e^{h^2} (1 + (k - 1) / D) - 1}}

    which no other uncertainty exceeds, and which is 0 where k is infinite.
    """
    fourth = np.exp(SPREAD**2)
    return float(np.sqrt((fourth - 1) / (fourth * (1 + (KURTOSIS[shape] - 1) / entries) - 1)))
