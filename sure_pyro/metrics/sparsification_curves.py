"""Sparsification: how the error falls when the most uncertain rows are taken out.

Ilg et al. 2018 (arXiv 1802.07095). Preferred to a rank correlation for heavy-tailed errors
(arXiv 2405.04278).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num, Shaped

from sure_pyro.metrics import check
from sure_pyro.metrics.risk_curves import running_mean


@dataclass(frozen=True, eq=False)
class Sparsification:
    """Remaining error against the removed fraction, by uncertainty and by the oracle.

    Parameters
    ----------
    removed : ndarray, shape (N,)
        Removed fraction, 0 to (N-1)/N.
    remaining, oracle : ndarray, shape (N,)
        Mean error of the rows that stay, over that of all rows: both curves start at 1.
    ause : float
        Area between the two curves; 0 is a perfect order.
    """

    removed: Float[np.ndarray, " N"]
    remaining: Float[np.ndarray, " N"]
    oracle: Float[np.ndarray, " N"]
    ause: float


def sparsification(u: Num[np.ndarray, " _N"], e: Shaped[np.ndarray, " _N"]) -> Sparsification:
    """Compute the sparsification curves and the area between them (AUSE).

    Parameters
    ----------
    u, e : ndarray, shape (N,)
        Uncertainty, and absolute or squared error (>= 0), per row. If every error is zero the
        curves are constant 1 and the area is 0.
    """
    u, e = check.alike({"u": u, "e": e})
    scale = check.not_negative("e", e).mean() or 1.0
    remaining = running_mean(u, e)[::-1] / scale
    oracle = running_mean(e, e)[::-1] / scale
    if not e.any():
        remaining, oracle = np.ones_like(u), np.ones_like(u)
    removed = np.arange(len(u)) / len(u)
    return Sparsification(removed, remaining, oracle, float((remaining - oracle).mean()))


def ause(u: Num[np.ndarray, " _N"], e: Shaped[np.ndarray, " _N"]) -> float:
    """Area under the sparsification error, in units of the mean error; 0 is a perfect order."""
    return sparsification(u, e).ause
