r"""Mean and variance from streaming sums, with standard errors and, if there is one, a control.

A control x is a variable of every draw whose mean and variance are known exactly; here the
linearised output :math:`x = J L \varepsilon`, with mean 0 and variance V = Taylor's. The mean
of any t over the draws is improved by what x is seen to have missed by:

.. math:: \hat t = \bar t - \beta^T (\bar X - E[X]), \qquad X = (x, x^2),\quad
          \beta = \operatorname{Cov}(X)^{-1} \operatorname{Cov}(X, t)

with beta estimated from the same draws (a bias of order 1/n). It is used with t = f for the
mean, and t = q = (f - mean)^2 for the variance. The error is that of the residuals r of this
regression, each weighed by its leverage h (how far its x lies out, and so how far it has pulled
beta towards itself):

.. math:: \operatorname{se}^2 = \frac{1}{n} \overline{r^2 (1 + 3 h)}, \qquad
          h = \frac{1}{n} \big(1 + (X - \bar X)^T \operatorname{Cov}(X)^{-1} (X - \bar X)\big)

the first order in h of the jackknife of a regression [MacKinnon1985]_. (Without the leverages
64 draws understate their error by a fifth, for the residuals of a bent function are largest where
x lies far out.) For q without control it is the usual, kurtosis-aware (mu_4 - sigma^4) / (n - 1).

The control needs J to be the gradient only to be *useful*: for any fixed J, E[X] is exact, so a
wrong gradient leaves the estimate right and this road independent of Taylor's [Glasserman2003]_.

References
----------
.. [Glasserman2003] Monte Carlo Methods in Financial Engineering, section 4.1.
.. [MacKinnon1985] MacKinnon, White. Some heteroskedasticity-consistent covariance matrix
   estimators with improved finite sample properties. J. Econometrics 29(3), 305-325.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.propagation.polynomial import (
    Average,
    Polynomial,
    expect,
    plus,
    scaled,
    times,
)
from sure_pyro.propagation.power_sums import PowerSums

Symmetric: TypeAlias = tuple[Tensor, Tensor, Tensor]  # entries 11, 12 and 22 of a 2 x 2 matrix


@dataclass(frozen=True, eq=False)
class Estimate:
    """Mean and variance with their standard errors, each (B, C)."""

    mean: Float[Tensor, "B C"]
    mean_error: Float[Tensor, "B C"]
    variance: Float[Tensor, "B C"]
    variance_error: Float[Tensor, "B C"]
    explained: Float[Tensor, "B C"] | None  # squared correlation of f and x


def estimate(sums: PowerSums, control_variance: Tensor | None = None) -> Estimate:
    """Estimate mean and variance of f; `control_variance` (B, C) is the exact variance of x."""
    f: Polynomial = {(1, 0): 1.0}  # f - pivot
    delta, mean_error, explained = _regress(sums, f, control_variance)
    deviation: Polynomial = {(1, 0): 1.0, (0, 0): -delta}  # f - mean
    q = times(deviation, deviation)
    s2, variance_error, _ = _regress(sums, q, control_variance)
    # The control may overshoot below zero when there are few draws: then the plain estimate.
    s2 = torch.where(s2 > 0, s2, expect(q, sums.average))
    # Squares around an estimated mean fall short by its own variance: n / (n - 1) without control.
    variance = s2 + mean_error**2
    return Estimate(sums.pivot + delta, mean_error, variance, variance_error, explained)


def _regress(
    sums: PowerSums, t: Polynomial, V: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Mean of t, its error, and the squared correlation with x."""
    E, n = sums.average, sums.n
    value = expect(t, E)
    var_t = expect(times(t, t), E) - value**2
    if V is None:
        return value, _error(sums, t, var_t / max(n - 1, 1)), None
    inverse, c1, c2 = _inverse_covariance(E), _covariance(t, 1, E), _covariance(t, 2, E)
    i11, i12, i22 = inverse
    b1, b2 = i11 * c1 + i12 * c2, i12 * c1 + i22 * c2
    line: Polynomial = {(0, 1): b1, (0, 2): b2}
    missed = expect(line, E) - b2 * V  # its average less its expectation
    residual = plus(t, scaled({**line, (0, 0): value - expect(line, E)}, -1.0))
    error = _error(sums, residual, _squared_error(residual, inverse, E, n))
    return value - missed, error, _ratio(c1**2, _covariance({(0, 1): 1.0}, 1, E) * var_t)


def _covariance(t: Polynomial, power: int, E: Average) -> Tensor:
    """Cov(x^power, t)."""
    return expect(times(t, {(0, power): 1.0}), E) - expect(t, E) * E(0, power)


def _inverse_covariance(E: Average) -> Symmetric:
    """Cov(X)^-1 by Cramer's rule; zero where the control does not vary."""
    x, x2 = E(0, 1), E(0, 2)
    s11, s12, s22 = x2 - x**2, E(0, 3) - x * x2, E(0, 4) - x2**2
    determinant = s11 * s22 - s12**2
    regular = determinant > 1e-12 * s11 * s22
    safe = torch.where(regular, determinant, torch.ones_like(determinant))
    i11, i12, i22 = (torch.where(regular, s / safe, 0 * s) for s in (s22, -s12, s11))
    return i11, i12, i22


def _squared_error(r: Polynomial, inverse: Symmetric, E: Average, n: int) -> Tensor:
    """E[r^2 (1 + 3 h)] / n, with h from the squared distance of X, at most n."""
    u: Polynomial = {(0, 1): 1.0, (0, 0): -E(0, 1)}
    v: Polynomial = {(0, 2): 1.0, (0, 0): -E(0, 2)}
    i11, i12, i22 = inverse
    # (u, v) Cov(X)^-1 (u, v)^T
    along_u, along_v = plus(scaled(u, i11), scaled(v, i12)), plus(scaled(u, i12), scaled(v, i22))
    distance = plus(times(u, along_u), times(v, along_v))
    r2 = times(r, r)
    square = expect(r2, E).clamp_min(
        0
    )  # rounding may leave less than nothing of an affine function
    far = torch.minimum(expect(times(r2, distance), E).clamp_min(0), n * square)
    return (square + 3 / n * (square + far)) / n


def _error(sums: PowerSums, r: Polynomial, squared: Tensor) -> Tensor:
    """Return the error of a mean: from independent draws, or from how the replicates differ."""
    replicates = sums.replicates()
    if len(replicates) == 1:
        return squared.clamp_min(0).sqrt()
    return torch.stack([expect(r, E_r) for E_r in replicates]).std(0) / len(replicates) ** 0.5


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    return torch.where(b > 0, a / torch.where(b > 0, b, torch.ones_like(b)), torch.zeros_like(a))
