r"""Whether two variances are the same for practical purposes: a test of equivalence.

Against zero, any difference becomes significant with enough draws, and none is with few; both
say little. So two margins and two one-sided tests, each at the level 1 - `confidence`
([Schuirmann1987]_), on the logarithm of the ratio, whose noise is close to normal:

* *beyond*: the ratio is off by more than `tolerance` (it is right within that: no alarm),
* *within*: the ratio is off by less than `limit` (it is wrong beyond that: never said to agree).

=========  ==========  ==============================================================
beyond     within      verdict
=========  ==========  ==============================================================
no         yes         agree
yes        yes         differ: more than `tolerance`, less than `limit`
yes        no          disagree
no         no          undecided: too few draws to tell
=========  ==========  ==============================================================

Whatever the number of draws, a ratio right within `tolerance` is called *differ* or *disagree*
in at most 5 % of repetitions, and one wrong beyond `limit` *agree* or *differ* in at most 5 %.
Few draws show as *undecided*, with how many are needed.

References
----------
.. [Schuirmann1987] A comparison of the two one-sided tests procedure and the power approach for
   assessing the equivalence of average bioavailability. J. Pharmacokin. Biopharm. 15, 657-680.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sure_pyro.equations import cross_check_ratio

AGREE, DIFFER, DISAGREE, UNDECIDED = "agree", "differ", "disagree", "undecided"


@dataclass(frozen=True)
class Margins:
    """What counts as right, what as wrong, and how sure a verdict must be.

    Parameters
    ----------
    tolerance : float
        A ratio within 1 +- tolerance is right.
    limit : float
        A ratio beyond 1 +- limit is wrong; above `tolerance`, below 1.
    confidence : float
        Of each one-sided test, for one ratio.
    """

    tolerance: float = 0.05
    limit: float = 0.25
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.tolerance < self.limit < 1:
            raise ValueError(
                "Margins need 0 < tolerance < limit < 1; got "
                f"tolerance={self.tolerance}, limit={self.limit}."
            )
        if not 0.5 < self.confidence < 1:
            raise ValueError(f"`confidence` must be in (0.5, 1); got {self.confidence}.")

    def quantile(self, comparisons: int = 1) -> float:
        """One-sided normal quantile, shared out over several comparisons (Bonferroni)."""
        level = (1 - self.confidence) / comparisons
        return -float(torch.special.ndtri(torch.tensor(level, dtype=torch.float64)))

    def beyond(self, ratio: Tensor, error: Tensor, comparisons: int = 1) -> Bool[Tensor, "*shape"]:
        """Significantly off by more than `tolerance`; `error` is that of log(ratio)."""
        log, slack = ratio.log(), self._two_sided(error, comparisons) * error
        too_large = log > math.log1p(self.tolerance) + slack
        return too_large | (log < math.log1p(-self.tolerance) - slack)

    def _two_sided(self, error: Tensor, comparisons: int) -> Tensor:
        """Quantile z for an alarm on either side: Phi(-z) + Phi(-z - width / error) = level.

        Where the noise is small against the width of the tolerance, only the near side can
        raise a false alarm (z is the one-sided quantile), else both can.
        """
        level = (1 - self.confidence) / comparisons
        width = math.log1p(self.tolerance) - math.log1p(-self.tolerance)
        z = torch.full_like(error, self.quantile(2 * comparisons))
        for _ in range(8):  # a contraction: the far side is the smaller of the two
            far = torch.special.ndtr(-z - width / error)
            z = -torch.special.ndtri((level - far).clamp_min(level / 2))
        return z

    def within(self, ratio: Tensor, error: Tensor, comparisons: int = 1) -> Bool[Tensor, "*shape"]:
        """Significantly off by less than `limit`."""
        log, slack = ratio.log(), self.quantile(comparisons) * error
        small = log < math.log1p(self.limit) - slack
        return small & (log > math.log1p(-self.limit) + slack)

    def needed(self, num_samples: int, error: float) -> int:
        """Draws after which both tests can be passed at once, from the error of these."""
        gap = math.log1p(self.limit) - math.log1p(self.tolerance)
        return math.ceil(num_samples * (2 * self.quantile() * error / gap) ** 2)


def ratio_and_error(
    taylor: Float[Tensor, "*shape"],
    sampled: Float[Tensor, "*shape"],
    error: Float[Tensor, "*shape"],
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Ratio (equation 11) and the standard error of its logarithm; 0/0 is 1, exactly."""
    relative = torch.where(sampled > 0, error / sampled.clamp_min(1e-300), 0 * error)
    return cross_check_ratio(taylor, sampled), relative
