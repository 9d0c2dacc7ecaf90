r"""Mean and variance from streaming sums, with standard errors and, if there is one, a control.

A control x is a variable of every draw whose mean and variance are known exactly; here the
linearised output :math:`x = J L \varepsilon`, with mean 0 and variance V = Taylor's. The mean
of any t over the draws is improved by what x is seen to have missed by:

.. math:: \hat t = \bar t - \beta^T (\bar X - E[X]), \qquad X = (x, x^2),\quad
          \beta = \operatorname{Cov}(X)^{-1} \operatorname{Cov}(X, t)

with beta estimated from the same draws (a bias of order 1/n). It is used with t = f for the
mean, and t = q = (f - mean)^2 for the variance. The error is that of the regression residual:

.. math:: \operatorname{se}^2 = (\operatorname{Var}[t] - \beta^T \operatorname{Cov}(X, t))
          / (n - 1 - p), \qquad p = 2 \text{ controls, or } 0

For q without control this is the usual, kurtosis-aware (mu_4 - sigma^4) / (n - 1). The control
needs J to be the gradient only to be *useful*: for any fixed J, E[X] is exact, so a wrong
gradient leaves the estimate right and this road independent of Taylor's.

References
----------
Glasserman (2003). Monte Carlo Methods in Financial Engineering, section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.propagation.power_sums import PowerSums

Average: TypeAlias = Callable[[int, int], Tensor]  # (a, b) -> E[d^a x^b]


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
    E = sums.average

    def f(E: Average, b: int) -> Tensor:  # E[(f - pivot) x^b]
        return E(1, b)

    delta, mean_error, explained = _regress(sums, f, E(2, 0), control_variance)

    def q(E: Average, b: int) -> Tensor:  # E[(f - mean)^2 x^b], with mean = pivot + delta
        return E(2, b) - 2 * delta * E(1, b) + delta**2 * E(0, b)

    fourth = E(4, 0) - 4 * delta * E(3, 0) + 6 * delta**2 * E(2, 0) - 4 * delta**3 * E(1, 0)
    s2, variance_error, _ = _regress(sums, q, fourth + delta**4, control_variance)
    # The control may overshoot below zero when there are few draws: then the plain estimate.
    s2 = torch.where(s2 > 0, s2, q(E, 0))
    # Squares around an estimated mean fall short by its own variance: n / (n - 1) without control.
    variance = s2 + mean_error**2
    return Estimate(sums.pivot + delta, mean_error, variance, variance_error, explained)


def _regress(
    sums: PowerSums, t: Callable[[Average, int], Tensor], t2: Tensor, V: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """From E[t x^b] and E[t^2]: the mean of t, its error, the squared correlation with x."""
    E, value = sums.average, t(sums.average, 0)
    var_t = t2 - value**2
    if V is None:
        return value, _error(sums, var_t, [t(E_r, 0) for E_r in sums.replicates()], 0), None
    x, x2 = E(0, 1), E(0, 2)
    c1, c2 = t(E, 1) - value * x, t(E, 2) - value * x2  # Cov(X, t)
    s11, s12, s22 = x2 - x**2, E(0, 3) - x * x2, E(0, 4) - x2**2  # Cov(X)
    b1, b2 = _solve(s11, s12, s22, c1, c2)
    residual = (var_t - b1 * c1 - b2 * c2).clamp_min(0)
    means = [t(E_r, 0) - b1 * E_r(0, 1) - b2 * E_r(0, 2) for E_r in sums.replicates()]
    explained = _ratio(c1**2, s11 * var_t)
    return value - b1 * x - b2 * (x2 - V), _error(sums, residual, means, 2), explained


def _solve(s11: Tensor, s12: Tensor, s22: Tensor, c1: Tensor, c2: Tensor) -> tuple[Tensor, Tensor]:
    """Beta = S^-1 c for S (2, 2) by Cramer's rule; zero where the control does not vary."""
    determinant = s11 * s22 - s12**2
    regular = determinant > 1e-12 * s11 * s22
    safe = torch.where(regular, determinant, torch.ones_like(determinant))
    b1, b2 = (s22 * c1 - s12 * c2) / safe, (s11 * c2 - s12 * c1) / safe
    return torch.where(regular, b1, 0 * b1), torch.where(regular, b2, 0 * b2)


def _error(sums: PowerSums, variance: Tensor, replicates: list[Tensor], controls: int) -> Tensor:
    """Return the error of a mean: from independent draws, or from how the replicates differ."""
    if len(replicates) == 1:
        return (variance.clamp_min(0) / max(sums.n - 1 - controls, 1)).sqrt()
    return torch.stack(replicates).std(0) / len(replicates) ** 0.5


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    return torch.where(b > 0, a / torch.where(b > 0, b, torch.ones_like(b)), torch.zeros_like(a))
