"""Deep ensemble: several trained networks as the atoms of a posterior."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from sure_pyro.guides.program import WeightProgram
from sure_pyro.guides.trained import TrainedGuide
from sure_pyro.models.reconstructor import LocalPyroModule


class EnsembleGuide(TrainedGuide):
    """q(w): one of K trained sets of weights, each with probability 1 / K [Lakshminarayanan2017]_.

    What differs between the members is where they start and what they see. Over a `SURE`, the
    fitted model is the first member; further reconstructors start from weights of their own, and
    further heads, whose start is given by the pretrained model and whose loss has one valley, see
    the training rows under random weights (the Bayesian bootstrap [Rubin1981]_). All are trained
    in one vectorised pass, in about half the time of one after the other.

    *It can not recover a conjugate posterior*: a linear regression has one optimum, so members
    that differ in their start alone all end there, and their variance is zero. (Prior samples as
    anchors would repair that for linear models.) It fails where K members are too few to tell a
    variance: its relative error is about ``sqrt(2 / (K - 1))``, 0.7 for five. What it is good at
    is several modes. Cost: K networks to keep and to run.

    Parameters
    ----------
    over, prior_scale
        As in `WeightGuide`; over both, a draw takes both parts of one member.
    members : int
        K, at least 2.

    References
    ----------
    .. [Lakshminarayanan2017] Simple and scalable predictive uncertainty estimation using deep
       ensembles. NeurIPS. arXiv:1612.01474.
    .. [Rubin1981] The Bayesian bootstrap. Annals of Statistics 9(1), 130-134.
    """

    kind: ClassVar[str] = "ensemble"

    def __init__(
        self,
        over: tuple[str, ...] = ("reconstructor", "head"),
        prior_scale: float | None = None,
        members: int = 5,
    ):
        super().__init__(over, prior_scale)
        if members < 2:
            raise ValueError(f"`members` must be at least 2; got {members}.")
        self.members = members

    def learn(self, part: str, members: Mapping[str, Tensor]) -> None:
        """Take over the weights of all members of a part, each ``(K, *shape)``, by name."""
        self.learnt[part] = {name: w.detach().clone() for name, w in members.items()}

    def member(self, k: int) -> dict[str, Tensor]:
        """Weights of one member, all parts."""
        self._require_fitted()
        return {name: w[k] for learnt in self.learnt.values() for name, w in learnt.items()}

    def sample(self, seed: int) -> dict[str, Tensor]:
        """See `WeightPosterior.sample`: a member by chance."""
        generator = torch.Generator().manual_seed(seed)
        return self.member(int(torch.randint(self.members, (), generator=generator)))

    def draws(self, num: int, seed: int) -> list[dict[str, Tensor]]:
        """Give each member once, whatever `num` and `seed`: chance could only add noise."""
        return [self.member(k) for k in range(self.members)]

    def approximation(self, program, batch) -> nn.Module:
        """See `TrainedGuide.approximation`: every member starts from a draw of the prior."""
        return _Members(program, self.members)

    def keep(self, program, approximation) -> None:
        """See `TrainedGuide.keep`."""
        self.learn(program.part, dict(zip(program.names, approximation.values, strict=True)))


class _Members(LocalPyroModule):
    """The Pyro guide: the weights of a member by chance, as Delta sites."""

    def __init__(self, program: WeightProgram, members: int):
        super().__init__()
        self.members, self.names = members, program.names
        self.values = nn.ParameterList(
            nn.Parameter(program.prior[name] * torch.randn(members, *w.shape).to(w))
            for name, w in program.fitted.items()
        )

    def forward(self, *batch) -> None:
        k = int(torch.randint(self.members, ()))
        for name, w in zip(self.names, self.values, strict=True):
            fn: Any = dist.Delta(w[k], event_dim=w.ndim - 1)
            pyro.sample(name, fn)
