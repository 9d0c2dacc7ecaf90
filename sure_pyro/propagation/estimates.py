r"""Mean and variance of an output over its draws, with their standard errors (equation 10).

The variance over the draws is an average too, that of q = (f - mean)^2. So one expectation, with
or without a control (see `sure_pyro.propagation.control_variate`), serves the mean and both terms
of the law of total variance. Without control the error of the variance is the usual one, which
knows of the kurtosis, :math:`(\mu_4 - \sigma^4) / (n - 1)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float

from sure_pyro.equations import law_of_total_variance
from sure_pyro.propagation.control_variate import expectation, explained, standard_error
from sure_pyro.propagation.power_sums import Variable


@dataclass(frozen=True, eq=False)
class Estimate:
    """Mean, variance and noise of an output, with their standard errors, each (B, C).

    `variance` is Var_s(E[y|s]), `noise` E_s(Var[y|s]); `explained` is the squared correlation of
    output and control, None without a control.
    """

    mean: Float[torch.Tensor, "B C"]
    mean_error: Float[torch.Tensor, "B C"]
    variance: Float[torch.Tensor, "B C"]
    variance_error: Float[torch.Tensor, "B C"]
    noise: Float[torch.Tensor, "B C"]
    noise_error: Float[torch.Tensor, "B C"]
    explained: Float[torch.Tensor, "B C"] | None


def estimate(f: Variable, s2: Variable | None = None) -> Estimate:
    """Estimate from the draws of an output f = E[y|s] and of its noise variance s2 = Var[y|s]."""
    noise = f * 0.0 if s2 is None else s2
    mean, mean_error = expectation(f), standard_error(f)
    between, within = law_of_total_variance(expectation, f, noise)
    q = (f - mean) ** 2
    # The control may overshoot below zero when there are few draws: then the plain average.
    between = torch.where(between > 0, between, q.average())
    # Squares around an estimated mean fall short by its own variance: n / (n - 1) without control.
    variance = between + mean_error**2
    return Estimate(
        mean, mean_error, variance, standard_error(q), within, standard_error(noise), explained(f)
    )
