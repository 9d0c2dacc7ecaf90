r"""From the scale of logits to that of probabilities: a second, explicit step.

Linearising a softmax at its mean fails early (it saturates), so logits are propagated first,
where a network is close to linear, and then taken to probabilities in one of two ways.

*Delta method*: p = softmax(m) and its Jacobian P = diag(p) - p p^T, source by source,

.. math:: \operatorname{Cov}_i[p] = P\,S_i\,P

the same as Taylor through ``fn`` followed by softmax. For small variances only.

*Probit*: the log-odds of class k against the rest are taken as Gaussian,

.. math:: a_k = m_k - \log \sum_{j \ne k} e^{m_j}, \qquad
          E[a_k] \approx a_k - \tfrac12 \Big(\sum_j r_j S_{jj} - r^T S r\Big), \qquad
          \tau_k^2 = (e_k - r)^T S (e_k - r)

with r the softmax over the rest, and p_k is the logistic function of them. Its mean has the
probit approximation [MacKay1992]_ :math:`\sigma(a_k / \sqrt{1 + \pi \tau_k^2 / 8})`, after which
the classes are normalised; its variance is a one-dimensional integral (quadrature). For two
classes, or a sigmoid, this is all there is to it and only the probit formula is approximate.
It bounds a variance by p (1 - p) as it must be, but knows the total only: the sources share it
as they do under the delta method.

References
----------
.. [MacKay1992] The evidence framework applied to classification networks. Neural Computation
   4(5), 720-736.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from sure_pyro.propagation.moments import Moments
from sure_pyro.propagation.more.quadrature import gaussian_moments


def to_probability(
    logits: Moments,
    link: Literal["softmax", "sigmoid"] = "softmax",
    method: Literal["delta", "probit"] = "probit",
) -> Moments:
    """Moments of the class probabilities from those of the logits.

    Parameters
    ----------
    logits : Moments
        Of any method; for a softmax with ``output_covariance=True``, because only differences
        between logits matter to it.
    link : "softmax" or "sigmoid"
        Classes that exclude each other, or labels of their own.
    method : "delta" or "probit"
        Linearised, or with Gaussian log-odds; see the module for both.

    Returns
    -------
    Moments
        Of probabilities, by the same sources; mean in (0, 1).

    Raises
    ------
    ValueError
        If `link` or `method` is unknown, or a softmax gets no covariance of the logits.
    """
    if link not in ("softmax", "sigmoid") or method not in ("delta", "probit"):
        raise ValueError(
            'to_probability knows link "softmax" or "sigmoid" and method "delta" or "probit"; '
            f"got {link!r} and {method!r}."
        )
    delta = _softmax_delta(logits) if link == "softmax" else _sigmoid_delta(logits)
    if method == "delta":
        return delta
    log_odds = _against_the_rest(logits) if link == "softmax" else (logits.mean, logits.variance)
    return _probit(*log_odds, delta, normalised=link == "softmax")


def _softmax_delta(logits: Moments) -> Moments:
    if logits.covariances is None:
        raise ValueError(
            "A softmax needs the covariance of the logits: call the method again with "
            "`output_covariance=True`."
        )
    p = logits.mean.softmax(-1)
    P = p.diag_embed() - p[:, :, None] * p[:, None, :]  # (B, C, C)
    covariances = {name: P @ S @ P for name, S in logits.covariances.items()}
    sources = {name: S.diagonal(dim1=-2, dim2=-1) for name, S in covariances.items()}
    return Moments(p, sources, covariances, method=f"{logits.method}, delta")


def _sigmoid_delta(logits: Moments) -> Moments:
    p = logits.mean.sigmoid()
    slope2 = (p * (1 - p)).square()
    sources = {name: slope2 * s2 for name, s2 in logits.sources.items()}
    return Moments(p, sources, method=f"{logits.method}, delta")


def _against_the_rest(logits: Moments) -> tuple[Tensor, Tensor]:
    """Mean a and variance tau^2 (B, C) of the log-odds of every class against the rest."""
    m, S = logits.mean, logits.covariance
    eye = torch.eye(m.shape[1], dtype=torch.bool, device=m.device)
    rest = m[:, None, :].expand_as(S).masked_fill(eye, -math.inf)  # (B, k, j)
    r = rest.softmax(-1)
    curvature = (r * S.diagonal(dim1=-2, dim2=-1)[:, None]).sum(-1) - _quadratic(r, S)
    tau2 = _quadratic(eye.to(m) - r, S)
    return m - rest.logsumexp(-1) - curvature / 2, tau2.clamp_min(0)


def _quadratic(u: Tensor, S: Tensor) -> Tensor:
    """u_k^T S u_k (B, C) for the rows k of u (B, C, C)."""
    return torch.linalg.vecdot(u @ S, u)


def _probit(a: Tensor, tau2: Tensor, delta: Moments, normalised: bool) -> Moments:
    p = torch.sigmoid(a / (1 + math.pi / 8 * tau2).sqrt())
    p = p / p.sum(-1, keepdim=True) if normalised else p
    _, variance = gaussian_moments(torch.sigmoid, a, tau2)
    sources: Mapping[str, Tensor] = {name: s * variance for name, s in delta.share.items()}
    return Moments(p, sources, method=delta.method.replace("delta", "probit"))
