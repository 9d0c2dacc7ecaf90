"""SWAG: the Normal that the weights trace out while they are trained on."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from sure_pyro.guides.normal import NormalGuide, flat, unflatten


class SWAGGuide(NormalGuide):
    r"""q(w) = Normal(mean, S/2 + D D^T / (2 (T - 1))) of the weights after T epochs [Maddox2019]_.

    S is the diagonal of their variance and D holds their last `rank` deviations from the mean.
    Training goes on from the fitted weights at a constant learning rate, and the weights are
    looked at after every epoch.

    *It can not recover a conjugate posterior*: the weights wander because mini-batches differ,
    and how far is set by learning rate and batch size and not by what the data say; with the
    full data as one batch they do not wander at all. In linear regression the mean is right
    (it is the average of the iterates) and the width grows with the learning rate. Cost: `epochs`
    more epochs of the phase.

    Parameters
    ----------
    over, prior_scale
        As in `WeightGuide`; the prior plays no role (the phase has its weight decay).
    rank : int
        Columns of D, at least 1.

    References
    ----------
    .. [Maddox2019] A simple baseline for Bayesian uncertainty in deep learning. NeurIPS.
       arXiv:1902.02476.
    """

    kind: ClassVar[str] = "swag"

    def __init__(
        self,
        over: tuple[str, ...] = ("reconstructor", "head"),
        prior_scale: float | None = None,
        rank: int = 20,
    ):
        super().__init__(over, prior_scale)
        if rank < 1:
            raise ValueError(f"`rank` must be at least 1; got {rank}.")
        self.rank = rank

    def learn_trajectory(self, part: str, trajectory: "Trajectory") -> None:
        """Take over the moments of a trajectory as the posterior of a part.

        Raises
        ------
        ValueError
            If the trajectory has fewer than two points.
        """
        mean, square, deviations = trajectory.mean, trajectory.square, trajectory.deviations
        if trajectory.length < 2 or mean is None or square is None:
            raise ValueError(
                f"A trajectory needs at least 2 points for a variance; got {trajectory.length}."
            )
        T = trajectory.length
        variance = (square - mean.square()).clamp_min(0) * T / (T - 1)
        D = torch.stack(deviations, -1)  # (D, R)
        factor = D / (2 * max(D.shape[1] - 1, 1)) ** 0.5
        self.learn(
            part,
            unflatten(mean.to(D), trajectory.like),
            scale=(variance / 2).sqrt().to(D),
            factor=factor,
        )


class Trajectory:
    """Running moments of weights, and their last deviations from the running mean.

    Parameters
    ----------
    rank : int
        How many deviations are kept.
    """

    def __init__(self, rank: int):
        self.rank, self.length = rank, 0
        self.mean: Tensor | None = None
        self.square: Tensor | None = None
        self.deviations: list[Tensor] = []
        self.like: dict[str, Tensor] = {}

    def add(self, weights: Mapping[str, Tensor]) -> None:
        """Add the weights as they are now."""
        self.like = self.like or {name: torch.empty_like(w) for name, w in weights.items()}
        w = flat(weights).detach().clone()
        wide = w.double()  # a variance as a difference of squares needs the digits
        self.length += 1
        if self.mean is None or self.square is None:
            self.mean, self.square = wide, wide.square()
        else:
            self.mean = self.mean + (wide - self.mean) / self.length
            self.square = self.square + (wide.square() - self.square) / self.length
        self.deviations = [*self.deviations, w - self.mean.to(w)][-self.rank :]
