r"""Draw what is kept, with exact marginal probabilities although at least one entry must stay.

Drawing entries independently and repeating rows that lost everything lowers the rate: of M = 2
modalities at rate 1/2, only 1/3 go missing. Here the marginals are exact. Let c_j be the wanted
probability that entry j of a row is kept. Keep entries independently with probability c_j * eps and
condition on keeping at least one; if eps solves

.. math:: 1 - \prod_j (1 - c_j \varepsilon) = \varepsilon                        \qquad (*)

then P(j kept | at least one kept) = c_j eps / eps = c_j. The left side over eps falls from
sum_j c_j to at most 1, so there is one solution in (0, 1] if and only if sum_j c_j >= 1, which
every distribution that keeps at least one entry fulfils.
"""

import torch
from jaxtyping import Bool, Float64
from torch import Tensor

BISECTIONS = 60  # halves the interval of log eps, about 20 wide, down to rounding


def draw_kept(
    keep: Float64[Tensor, "B M"], generator: torch.Generator, keep_one: bool = True
) -> Bool[Tensor, "B M"]:
    """Draw which entries are kept.

    Parameters
    ----------
    keep : float64 Tensor, shape ``(B, M)``, in [0, 1]
        Marginal probability c_j of each entry; 0 where there is nothing to keep.
    generator : torch.Generator
        On the CPU.
    keep_one : bool
        Keep at least one entry of every row that has any with c_j > 0. Where the sum of a row's c_j
        is below 1 no distribution has these marginals: exactly one entry is kept then, j with
        probability c_j over the sum.

    Returns
    -------
    bool Tensor, shape ``(B, M)``
    """
    u = torch.rand(keep.shape, generator=generator, dtype=torch.float64)
    if not keep_one:
        return u < keep
    proposal = keep * solve_eps(keep)  # c_j * eps
    # At least one: J is the first kept entry, P(J <= j) = 1 - prod_{l <= j} (1 - c_l eps).
    some_by_j = -torch.expm1(torch.log1p(-proposal).cumsum(1))
    v = torch.rand(len(keep), 1, generator=generator, dtype=torch.float64)
    first = (some_by_j > v * some_by_j[:, -1:]).to(torch.int8).argmax(1, keepdim=True)
    j = torch.arange(keep.shape[1])
    kept = (j == first) | ((j > first) & (u < proposal))
    return kept & (keep > 0)


def solve_eps(c: Float64[Tensor, "B M"]) -> Float64[Tensor, "B 1"]:
    """Solve equation (*) for each row by bisection on log eps.

    Where the sum of c is 1 or less, eps tends to 0 and exactly one entry is kept; the smallest eps
    here, about 2e-9, does that up to a probability of the same order.
    """
    low = torch.full((len(c), 1), -20.0, dtype=torch.float64)
    high = torch.zeros_like(low)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        eps = middle.exp()
        above = -torch.expm1(torch.log1p(-c * eps).sum(1, keepdim=True)) > eps
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return high.exp()
