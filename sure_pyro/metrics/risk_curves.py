r"""Risk against coverage: how good the answer is on the rows one is most sure of.

Accept the k rows of smallest uncertainty; the risk is their mean loss, the coverage k/N.

.. math:: \text{risk}(k/N) = \frac1k \sum_{j \le k} \ell_{(j)}, \qquad
          \text{AURC} = \frac1N \sum_k \text{risk}(k/N)

(Geifman and El-Yaniv 2017; excess AURC, Geifman et al. 2019.) An uncertainty that is right about
the order reaches the oracle's curve, which accepts the rows of smallest loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num, Shaped

from sure_pyro.metrics import check


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """A risk-coverage curve and its areas.

    Parameters
    ----------
    coverage : ndarray, shape (N,)
        Accepted fraction, 1/N to 1.
    risk, oracle_risk : ndarray, shape (N,)
        Mean loss of the accepted rows, by uncertainty and by the loss itself.
    threshold : ndarray, shape (N,)
        Largest accepted uncertainty at that coverage.
    aurc, oracle_aurc : float
        Areas: means of the two curves. A random order has the mean loss as its area.
    """

    coverage: Float[np.ndarray, " N"]
    risk: Float[np.ndarray, " N"]
    oracle_risk: Float[np.ndarray, " N"]
    threshold: Float[np.ndarray, " N"]
    aurc: float
    oracle_aurc: float

    @property
    def excess_aurc(self) -> float:
        """Area above the oracle's; 0 is a perfect order."""
        return self.aurc - self.oracle_aurc


def risk_coverage(u: Num[np.ndarray, " _N"], loss: Shaped[np.ndarray, " _N"]) -> RiskCoverage:
    """Compute the risk-coverage curve of uncertainty `u`.

    Rows of equal uncertainty are in no order, so they enter with their mean loss: the curve does
    not depend on the order of the rows, and a constant `u` gives a flat one.

    Parameters
    ----------
    u, loss : ndarray, shape (N,)
        Uncertainty and loss per row; any loss, ``[prediction wrong]`` or a squared error.
    """
    u, loss = check.alike({"u": u, "loss": loss})
    risk, oracle = running_mean(u, loss), running_mean(loss, loss)
    coverage = np.arange(1, len(u) + 1) / len(u)
    return RiskCoverage(
        coverage, risk, oracle, np.sort(u), float(risk.mean()), float(oracle.mean())
    )


def aurc(u: Num[np.ndarray, " _N"], loss: Shaped[np.ndarray, " _N"]) -> float:
    """Area under the risk-coverage curve, in units of the loss."""
    return risk_coverage(u, loss).aurc


def excess_aurc(u: Num[np.ndarray, " _N"], loss: Shaped[np.ndarray, " _N"]) -> float:
    """Area under the risk-coverage curve above the oracle's; 0 is a perfect order."""
    return risk_coverage(u, loss).excess_aurc


def running_mean(u: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Mean loss of the k rows of smallest `u`, k = 1..N; ties in `u` share their mean loss."""
    _, block, size = np.unique(u, return_inverse=True, return_counts=True)
    shared = np.bincount(block, weights=loss) / size  # mean loss of each block of ties
    return np.cumsum(np.repeat(shared, size)) / np.arange(1, len(u) + 1)
