"""Lin's concordance correlation of uncertainty and error, which sees scale and offset."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sure_pyro.equations import centred, magnitude
from sure_pyro.objectives.correlation import prepared


def concordance(
    u: Float[Tensor, "..."], e: Float[Tensor, "..."], mask: Bool[Tensor, "..."] | None = None
) -> Float[Tensor, ""]:
    r"""Concordance correlation coefficient [Lin1989]_: how near (u, e) is to the line u = e.

    .. math:: \rho_c(u, e) = \frac{2 \operatorname{cov}(u, e)}
              {\operatorname{var}(u) + \operatorname{var}(e) + (\bar u - \bar e)^2}

    Pearson's correlation times a factor that is 1 only where both have one mean and one spread.
    Calibrated variances do not have the spread of the squared errors, though, which are noisy
    draws of them: the best concordance is reached by variances that spread more than the truth.
    And `u` and `e` must be in the same units, variance with squared error.

    Parameters
    ----------
    u, e, mask
        As in `pearson`.

    Returns
    -------
    Tensor, scalar in [-1, 1]
        Degenerate cases as in `pearson`: constant `u` or `e` gives 0 with gradient 0.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    .. [Lin1989] A concordance correlation coefficient to evaluate reproducibility. Biometrics
       45(1), 255-268.
    """
    u, e, mask, n = prepared(u, e, mask)
    defined = (centred(u, mask, n)[1] != 0) & (centred(e, mask, n)[1] != 0)
    zero = torch.zeros_like(u)
    u, e = torch.where(mask, u, zero), torch.where(mask, e, zero)
    unit = torch.maximum(magnitude(u), magnitude(e))  # one for both: scale is what this sees
    u, e = u / unit, e / unit
    du, de = (torch.where(mask, x - x.sum() / n, zero) for x in (u, e))
    total = (du.square() + de.square()).sum() / n + ((u.sum() - e.sum()) / n).square()
    total = torch.where(defined, total, torch.ones_like(total))
    return torch.where(defined, 2 * (du * de).sum() / n / total, torch.zeros_like(total))
