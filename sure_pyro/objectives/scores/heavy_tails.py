"""Student-t and Laplace likelihoods, whose tails are heavier than a Gaussian's."""

import math

import pyro.distributions as dist

from sure_pyro.objectives.scores.score import Score


class StudentTNLL(Score):
    r"""Student-t likelihood with the site's mean and the site's *variance*.

    .. math:: y \sim \mathrm{StudentT}\!\left(\nu, \mu, \sigma \sqrt{(\nu - 2) / \nu}\right)

    A t distribution of scale s has the variance :math:`s^2 \nu / (\nu - 2)`; its scale is matched
    so that the site's scale stays what everything downstream takes it for, a standard deviation.
    A single large error then pulls on the location by no more than a bounded force, where the
    Gaussian's grows with the error.

    Parameters
    ----------
    df : float, greater than 2
        Degrees of freedom; at 2 and below there is no variance to match.
    """

    def __init__(self, df: float = 5.0):
        super().__init__()
        if not df > 2:
            raise ValueError(
                f"`df` must be greater than 2, so that there is a variance to match; got {df}."
            )
        self.df = df

    def rescored(self, fn):
        """See `Score.rescored`."""
        scale = fn.scale * math.sqrt((self.df - 2) / self.df)
        return dist.StudentT(self.df, fn.loc, scale, validate_args=False)


class LaplaceNLL(Score):
    r"""Laplace likelihood with the site's mean and the site's *variance*.

    .. math:: y \sim \mathrm{Laplace}(\mu, \sigma / \sqrt 2)

    whose variance is :math:`\sigma^2`. The location is trained by absolute error, so it goes to
    the median where errors are skewed.
    """

    def rescored(self, fn):
        """See `Score.rescored`."""
        return dist.Laplace(fn.loc, fn.scale / math.sqrt(2), validate_args=False)
