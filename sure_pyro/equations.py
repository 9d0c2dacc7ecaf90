r"""The eleven equations of SURE (arXiv 2504.13465) in the paper's symbols, one function for each.

Every room that computes one of them calls it here, so that paper and code can lie side by side.
B rows, C outputs, D entries of a latent, S draws.

====  ==========================================================================================
 1    :math:`z_i = f_i(x_i)`
 2    :math:`\mu_i, \sigma_i = r_i(\{z_j : v_j = 1\}, v), \quad
      z_i \mid z_v \sim \mathrm{Normal}(\mu_i, \sigma_i^2)`
 3    :math:`\tilde z_i = z_i` if :math:`v_i` else :math:`\mu_i`
 4    :math:`h = \omega(\tilde z), \quad y \sim \mathrm{Head}(g(h))`
 5    :math:`\rho(u, e) = \operatorname{cov}(u, e) / (\operatorname{sd}(u) \operatorname{sd}(e))`
 6    :math:`L = -\mathrm{ELBO} / N + \lambda \sum_s (1 - \rho_s)`
 7    :math:`s_i^2[y_c] = \sum_k (\partial y_c / \partial \tilde z_{ik})^2 \sigma_{ik}^2`
 8    :math:`s^2[y_c] = \sum_i s_i^2[y_c] + s^2_\mathrm{head}[y_c] + s^2_\mathrm{weights}[y_c]`
 9    :math:`E[y_c] \approx y_c(\mu) + \tfrac12 \sum_k
      (\partial^2 y_c / \partial \tilde z_k^2)\, \sigma_k^2`
10    :math:`\operatorname{Var}[y] = \operatorname{Var}_s(E[y|s]) + E_s(\operatorname{Var}[y|s])`
11    :math:`\mathrm{ratio} = s^2_\mathrm{taylor} / s^2_\mathrm{sampling}`
====  ==========================================================================================
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

X = TypeVar("X")
Z = TypeVar("Z")
H = TypeVar("H")
Y = TypeVar("Y")


def projection(f: Callable[[X], Z], x: X) -> Z:
    """Equation 1, z = f(x): latents of features, without gradient, as the projectors are frozen."""
    with torch.no_grad():
        return f(x)


def reconstruction(
    r: Callable[[dict[str, Tensor], Mapping[str, Tensor]], Y],
    z: Mapping[str, Float[Tensor, " B *event"]],
    v: Mapping[str, Bool[Tensor, " B *token"]],
) -> Y:
    """Equation 2, mu, sigma = r({z_j : v_j = 1}, v).

    With mu_i and sigma_i, z_i | z_v ~ Normal(mu_i, sigma_i^2). What is stored where v is false has
    no effect; v_j may have fewer trailing axes than z_j, which then share it.
    """
    z_v = {j: fusion_input(z_j, torch.zeros_like(z_j), v[j]) for j, z_j in z.items()}
    return r(z_v, v)


def fusion_input(
    z: Float[Tensor, " B *event"], mu: Float[Tensor, " B *event"], v: Bool[Tensor, " B *token"]
) -> Float[Tensor, " B *event"]:
    """Equation 3, z where v is true, else mu: what the fusion sees of one modality."""
    return torch.where(_beside(v, z), z, mu)


def response(g: Callable[[H], Y], omega: Callable[[X], H], zt: X) -> Y:
    """Equation 4, g(omega(zt)): moments of Head(g(h)) on the representation h = omega(zt)."""
    h = omega(zt)
    return g(h)


def correlation(
    u: Float[Tensor, "..."], e: Float[Tensor, "..."], counts: Bool[Tensor, "..."]
) -> Float[Tensor, ""]:
    """Equation 5, rho = cov(u, e) / (sd(u) sd(e)), over the pairs that count.

    The loss L_PCC is 1 - rho. Where u or e is constant rho is not defined: 0, with gradient 0.
    """
    n = counts.sum().clamp(min=1)
    (du, var_u), (de, var_e) = centred(u, counts, n), centred(e, counts, n)
    defined = (var_u != 0) & (var_e != 0)  # so that NaN stays NaN
    # The inner `where` keeps the undefined branch out of the gradient as well as out of the value.
    sd_u, sd_e = (torch.where(defined, var, 1.0).sqrt() for var in (var_u, var_e))
    cov = (du * de).sum() / n
    return torch.where(defined, cov / (sd_u * sd_e), 0.0)


def objective(
    elbo: Float[Tensor, ""] | float,
    N: float,
    lam: Iterable[float],
    rho: Iterable[Float[Tensor, ""] | float],
) -> Float[Tensor, ""] | float:
    """Equation 6, L = -ELBO / N + sum_s lambda_s (1 - rho_s).

    N observed numbers; one lambda and one rho for every site s.
    """
    L_PCC = [lam_s * (1 - rho_s) for lam_s, rho_s in zip(lam, rho, strict=True)]
    return -elbo / N + sum(L_PCC)


def taylor_variance(
    J: Float[Tensor, "*#batch D"], sigma2: Float[Tensor, "*#batch D"]
) -> Float[Tensor, "..."]:
    """Equation 7, s2_i[y_c] = sum_k J_ck^2 sigma_ik^2, with J_ck = dy_c/dz_ik at the mean."""
    return torch.linalg.vecdot(J.square(), sigma2)


def total_variance(s2: Iterable[Float[Tensor, "*batch"]]) -> Float[Tensor, "*batch"]:
    """Equation 8, s2[y_c] = sum_i s2_i[y_c] + s2_head[y_c] + s2_weights[y_c].

    Sources of variance that are independent of each other add up.
    """
    first, *others = s2
    return sum(others, first)


def second_order_mean(
    y: Float[Tensor, "*batch"], d2y: Float[Tensor, "*batch D"], sigma2: Float[Tensor, "... D"]
) -> Float[Tensor, "*batch"]:
    """Equation 9, E[y_c] = y_c(mu) + 1/2 sum_k (d^2 y_c / dz_k^2) sigma_k^2, to second order."""
    return y + torch.linalg.vecdot(d2y, sigma2) / 2


def law_of_total_variance(E: Callable[[Any], Tensor], m: Any, s2: Any) -> tuple[Tensor, Tensor]:
    """Equation 10, the two terms of Var[y]: Var_s(E[y|s]) and E_s(Var[y|s]).

    E averages over the draws s; m = E[y|s] and s2 = Var[y|s] are what it averages: tensors with
    draws in front, or variables of which only sums over the draws were kept.
    """
    return E((m - E(m)) ** 2), E(s2)


def cross_check_ratio(
    s2_taylor: Float[Tensor, "*batch"], s2_sampling: Float[Tensor, "*batch"]
) -> Float[Tensor, "*batch"]:
    """Equation 11, s2_taylor / s2_sampling; two variances of zero are alike: their ratio is 1."""
    both_zero = (s2_taylor == 0) & (s2_sampling == 0)
    return torch.where(both_zero, 1.0, s2_taylor / torch.where(both_zero, 1.0, s2_sampling))


def centred(x: Tensor, counts: Tensor, n: Tensor) -> tuple[Tensor, Tensor]:
    """Of equation 5: deviations from the mean, and their variance; in units of `magnitude`.

    The variance is 0 where it is nothing but rounding, as that of a constant.
    """
    x = torch.where(counts, x, 0.0)
    x = x / magnitude(x)  # rho does not see it; squares can not under- or overflow
    deviation = torch.where(counts, x - x.sum() / n, 0.0)
    variance = deviation.square().sum() / n
    rounding = (8 * torch.finfo(x.dtype).eps) ** 2
    return deviation, torch.where(variance <= rounding, 0.0, variance)


def magnitude(x: Tensor) -> Tensor:
    """Of equation 5: largest absolute value, without a gradient; never 0, to be divided by."""
    return x.detach().abs().amax().clamp(min=torch.finfo(x.dtype).tiny) if x.numel() else x.sum()


def _beside(v: Tensor, z: Tensor) -> Tensor:
    """Mask with the trailing axes that it shares over z."""
    return v.reshape(v.shape + (1,) * (z.ndim - v.ndim))
