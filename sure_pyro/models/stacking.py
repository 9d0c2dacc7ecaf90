"""Stacking: how much of each prediction to believe, from rows that none of them was fitted on.

The location is a share of one prediction, a share of another, and for the rest the mean, which is
zero; shares are not negative and add up to at most one [Breiman1996]_. A prediction that says
nothing about held-out rows gets no share, so that the error is that of the mean at worst.

References
----------
.. [Breiman1996] Stacked regressions. Machine Learning 24, 49-64.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

ROWS_OF_THE_PRIOR = 20
"""As many rows the factor 1 counts for, against those that were held out."""


def shares(
    first: Float[Tensor, " n"], second: Float[Tensor, " n"], truth: Float[Tensor, " n"]
) -> tuple[float, float]:
    """Shares of two predictions that minimise the squared error: a, b >= 0 and a + b <= 1.

    Parameters
    ----------
    first, second : Tensor, shape ``(n,)``
        Predictions of held-out numbers, as deviations from their mean.
    truth : Tensor, shape ``(n,)``
    """
    x = torch.stack([first, second]).double()
    G, c = x @ x.mT, x @ truth.double()
    corners = [torch.zeros(2).double(), *torch.eye(2).double()]
    edges = [_on_edge(G, c, corners[i], corners[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    inside = torch.linalg.lstsq(G, c[:, None]).solution.squeeze(1)
    candidates = [*edges, *([inside] if (inside >= 0).all() and inside.sum() <= 1 else [])]
    a, b = min(candidates, key=lambda w: float(w @ G @ w - 2 * c @ w)).tolist()
    return a, b


def _on_edge(G: Tensor, c: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """Best point between two corners."""
    d = end - start
    curvature = d @ G @ d
    t = (c - G @ start) @ d / curvature if curvature > 0 else curvature
    return start + t.clamp(0, 1) * d


def scale_factor(squared: Float[Tensor, "n D"]) -> float:
    """Factor on scales from squared errors in units of the predicted variance, n rows of D.

    The root of their mean, drawn towards 1 in the logarithm as by `ROWS_OF_THE_PRIOR` rows.
    """
    n = len(squared)
    if not n:
        return 1.0
    log_factor = 0.5 * float(squared.double().mean().clamp_min(1e-12).log())
    return float(torch.tensor(log_factor * n / (n + ROWS_OF_THE_PRIOR)).exp())
