"""Central intervals of a Gaussian prediction: coverage, width, PIT, sharpness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.special
import scipy.stats
from jaxtyping import Float, Num

from sure_pyro.metrics import check

if TYPE_CHECKING:
    import pandas as pd

LEVEL, LEVELS = 0.9, (0.5, 0.8, 0.9, 0.95)
"""Of intervals: where tables show one level, and where they show several."""


@dataclass(frozen=True, eq=False)
class IntervalCoverage:
    """Coverage and mean width of central intervals at several levels, each (L,)."""

    level: Float[np.ndarray, " L"]
    coverage: Float[np.ndarray, " L"]
    width: Float[np.ndarray, " L"]

    def to_dataframe(self) -> pd.DataFrame:
        """Give one line per level."""
        import pandas as pd

        return pd.DataFrame({"level": self.level, "coverage": self.coverage, "width": self.width})


def central_interval(
    mean: Num[np.ndarray, " _N *_C"], variance: Num[np.ndarray, " _N *_C"], level: float = 0.9
) -> tuple[Float[np.ndarray, " N *C"], Float[np.ndarray, " N *C"]]:
    """Lower and upper end of the central Gaussian interval at `level`, in units of the mean."""
    mu, s2 = check.alike({"mean": mean, "variance": variance}, ndim=(1, 2))
    z = scipy.special.ndtri((1 + check.fraction("level", level)) / 2)
    half = z * np.sqrt(check.not_negative("variance", s2))
    return mu - half, mu + half


def interval_coverage(
    lower: Num[np.ndarray, " _N *_C"],
    upper: Num[np.ndarray, " _N *_C"],
    target: Num[np.ndarray, " _N *_C"],
) -> float:
    """Fraction of targets with lower <= target <= upper; the ends may be infinite."""
    lower, upper, target = np.asarray(lower), np.asarray(upper), np.asarray(target)
    if not lower.shape == upper.shape == target.shape or target.size == 0:
        raise ValueError(
            "`lower`, `upper` and `target` need one shape with at least one row; "
            f"got {lower.shape}, {upper.shape}, {target.shape}."
        )
    return float(((lower <= target) & (target <= upper)).mean())


def gaussian_coverage(
    mean: Num[np.ndarray, " _N *_C"],
    variance: Num[np.ndarray, " _N *_C"],
    target: Num[np.ndarray, " _N *_C"],
    levels: Sequence[float] = LEVELS,
) -> IntervalCoverage:
    """Coverage and mean width of the central Gaussian intervals at each level."""
    mu, s2, y = check.alike({"mean": mean, "variance": variance, "target": target}, ndim=(1, 2))
    ends = [central_interval(mu, s2, level) for level in levels]
    coverage = [interval_coverage(a, b, y) for a, b in ends]
    width = [float((b - a).mean()) for a, b in ends]
    return IntervalCoverage(np.array(levels, dtype=np.float64), np.array(coverage), np.array(width))


def pit(
    mean: Num[np.ndarray, " _N *_C"],
    variance: Num[np.ndarray, " _N *_C"],
    target: Num[np.ndarray, " _N *_C"],
) -> Float[np.ndarray, " N *C"]:
    """Probability integral transform Phi((y - mu) / sigma): uniform if the prediction is right.

    Humps in the middle of its histogram mean variances too large, a U means too small, a slope
    means bias. With a variance of zero: 0, 1/2 or 1 for a target below, on or above the mean.
    """
    mu, s2, y = check.alike({"mean": mean, "variance": variance, "target": target}, ndim=(1, 2))
    sigma = np.sqrt(check.not_negative("variance", s2))
    step = np.select([y < mu, y > mu], [0.0, 1.0], 0.5)
    z = (y - mu) / np.where(sigma > 0, sigma, 1)
    return np.where(sigma > 0, scipy.special.ndtr(z), step)


def sharpness(variance: Num[np.ndarray, " _N *_C"]) -> float:
    """Root of the mean predicted variance, in units of the target: smaller is sharper.

    It does not look at the targets: sharp is good only where the coverage is right.
    """
    s2 = check.numbers("variance", variance, (1, 2))
    return float(np.sqrt(check.not_negative("variance", s2).mean()))


def pit_distance(
    mean: Num[np.ndarray, " _N *_C"],
    variance: Num[np.ndarray, " _N *_C"],
    target: Num[np.ndarray, " _N *_C"],
) -> float:
    """Largest distance of the distribution of PIT values from the uniform one (Kolmogorov)."""
    values = pit(mean, variance, target).ravel()
    return float(scipy.stats.ks_1samp(values, scipy.stats.uniform.cdf, method="asymp").statistic)


def central_coverage(
    mean: Num[np.ndarray, " _N *_C"],
    variance: Num[np.ndarray, " _N *_C"],
    target: Num[np.ndarray, " _N *_C"],
    level: float,
) -> Float[np.ndarray, " N"]:
    """Share of the C targets of each row inside their central Gaussian intervals."""
    lower, upper = central_interval(mean, variance, level)
    return ((lower <= target) & (target <= upper)).reshape(len(lower), -1).mean(1)


def central_width(
    mean: Num[np.ndarray, " _N *_C"], variance: Num[np.ndarray, " _N *_C"], level: float
) -> Float[np.ndarray, " N"]:
    """Mean width of the C central Gaussian intervals of each row, in units of the target."""
    lower, upper = central_interval(mean, variance, level)
    return (upper - lower).reshape(len(lower), -1).mean(1)
