r"""Averages over draws, made sharper by a control variate of known moments.

A control x is a number of every draw whose mean and variance are known exactly; here the
linearised output :math:`x = J L \varepsilon`, with mean 0 and variance V = Taylor's. The average
of any t over the draws is improved by what x is seen to have missed by:

.. math:: E[t] \approx \bar t - \beta^T (\bar X - E[X]), \qquad X = (x, x^2),\quad
          \beta = \operatorname{Cov}(X)^{-1} \operatorname{Cov}(X, t)

with beta estimated from the same draws (a bias of order 1/n). The error is that of the residuals
r of this regression, each weighed by its leverage h (how far its x lies out, and so how far it
has pulled beta towards itself):

.. math:: \operatorname{se}^2 = \frac{1}{n} \overline{r^2 (1 + 3 h)}, \qquad
          h = \frac{1}{n} \big(1 + (X - \bar X)^T \operatorname{Cov}(X)^{-1} (X - \bar X)\big)

the first order in h of the jackknife of a regression [MacKinnon1985]_. (Without the leverages
64 draws understate their error by a fifth, for the residuals of a bent function are largest where
x lies far out.) Without a control it is the usual variance of t over n.

The control needs J to be the gradient only to be *useful*: for any fixed J, E[X] is exact, so a
wrong gradient leaves the estimate right and sampling independent of Taylor [Glasserman2003]_.

References
----------
.. [Glasserman2003] Monte Carlo Methods in Financial Engineering, section 4.1.
.. [MacKinnon1985] MacKinnon, White. Some heteroskedasticity-consistent covariance matrix
   estimators with improved finite sample properties. J. Econometrics 29(3), 305-325.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sure_pyro.propagation.power_sums import Variable


def expectation(t: Variable) -> Tensor:
    """E[t] (B, C): the average over the draws, less what the control shows it to be off by."""
    V = t.sums.control_variance
    if V is None:
        return t.average()
    x, (b1, b2) = t.sums.x, _slopes(t)
    return t.average() - (b1 * x.average() + b2 * ((x**2).average() - V))


def standard_error(t: Variable) -> Tensor:
    """Standard error (B, C) of `expectation`.

    Draws that come in replicates are not independent within one of them: there it is read off how
    the replicates differ.
    """
    n, controlled = t.sums.n, t.sums.control_variance is not None
    r = _residual(t) if controlled else t
    if len(t.sums.counts) > 1:
        averages = torch.stack(r.averages())
        return averages.std(0) / len(averages) ** 0.5
    r = _centred(r)
    square = _with_leverage(r) / n if controlled else (r**2).average() / max(n - 1, 1)
    return square.clamp_min(0).sqrt()


def explained(t: Variable) -> Tensor | None:
    """Squared correlation of t and x; zero where one of them does not vary."""
    if t.sums.control_variance is None:
        return None
    x, t = _centred(t.sums.x), _centred(t)
    spread = (x**2).average() * (t**2).average()
    varies = spread > 0
    square = (x * t).average() ** 2 / torch.where(varies, spread, torch.ones_like(spread))
    return torch.where(varies, square, torch.zeros_like(square))


def _slopes(t: Variable) -> tuple[Tensor, Tensor]:
    """Beta: slopes of the regression of t on X = (x, x^2)."""
    u, v, t = _centred(t.sums.x), _centred(t.sums.x**2), _centred(t)
    i11, i12, i22 = _inverse_covariance(u, v)
    c1, c2 = (u * t).average(), (v * t).average()
    return i11 * c1 + i12 * c2, i12 * c1 + i22 * c2


def _residual(t: Variable) -> Variable:
    """What the regression leaves of t."""
    x, (b1, b2) = t.sums.x, _slopes(t)
    return t - x * b1 - x**2 * b2


def _with_leverage(r: Variable) -> Tensor:
    """Average of r^2 (1 + 3 h), with h from the squared distance of X, which is at most n."""
    n, u, v = r.sums.n, _centred(r.sums.x), _centred(r.sums.x**2)
    i11, i12, i22 = _inverse_covariance(u, v)
    distance = u * (u * i11 + v * i12) + v * (u * i12 + v * i22)  # X^T Cov(X)^-1 X, X centred
    # Of an affine function rounding may leave less than nothing.
    square = (r**2).average().clamp_min(0)
    far = torch.minimum((r**2 * distance).average().clamp_min(0), n * square)
    return square + 3 / n * (square + far)


def _inverse_covariance(u: Variable, v: Variable) -> tuple[Tensor, Tensor, Tensor]:
    """Entries 11, 12 and 22 of Cov(X)^-1 (Cramer's rule); zero where the control does not vary."""
    s11, s12, s22 = (u**2).average(), (u * v).average(), (v**2).average()
    determinant = s11 * s22 - s12**2
    regular = determinant > 1e-12 * s11 * s22
    safe = torch.where(regular, determinant, torch.ones_like(determinant))
    i11, i12, i22 = (torch.where(regular, s / safe, 0 * s) for s in (s22, -s12, s11))
    return i11, i12, i22


def _centred(t: Variable) -> Variable:
    return t - t.average()
