"""Members of a deep ensemble, trained in one vectorised pass.

The parameters of all members are stacked, and ``torch.vmap`` runs one network over the stack: the
matrix products become batched ones, and the Python of a step is paid once instead of once for each
member. The members' outputs are then rows of one large batch, so that objectives, handlers and the
propagation see nothing unusual. The loss is the mean over the members, of which each only sees its
own share; the correlation objective is over the rows of all.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from pyro import poutine
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from sure_pyro.equations import response, total_variance
from sure_pyro.models import SURE, Latents, LocScale, Output
from sure_pyro.models.latents import Masks
from sure_pyro.models.program import sample_latents, sample_target
from sure_pyro.propagation import taylor
from sure_pyro.training.steps import Step, no_guide, squared_errors


class Stack(nn.Module):
    """Several modules of one form, as one module with stacked parameters.

    Parameters
    ----------
    modules : list of nn.Module
    """

    def __init__(self, modules: list[nn.Module]):
        super().__init__()
        parameters, buffers = stack_module_state(modules)
        self.names, self.size = tuple(parameters), len(modules)
        self.values = nn.ParameterList(nn.Parameter(p.detach()) for p in parameters.values())
        self.like = (copy.deepcopy(modules[0]),)  # in a tuple: no submodule, its numbers are unused
        self.fixed = {name: b.detach() for name, b in buffers.items()}

    def weights(self) -> dict[str, Tensor]:
        """Stacked parameters ``(K, *shape)`` by name."""
        return dict(zip(self.names, self.values, strict=True))

    def forward(self, *arguments):
        """Run every member on the same arguments; outputs get an axis of members in front."""
        module = self.like[0].train(self.training)

        def run(parameters, buffers):
            return functional_call(module, (parameters, buffers), arguments)

        return torch.vmap(run, randomness="different")(self.weights(), self.fixed)


@dataclass
class WeightedLatents(Latents):
    """Latents whose rows count differently for each member.

    Attributes
    ----------
    counts : Tensor, shape ``(B, K)``
    """

    counts: Tensor | None = None

    def __getitem__(self, rows) -> "WeightedLatents":
        picked = Latents.__getitem__(self, rows)
        assert self.counts is not None
        return weighted(picked, self.counts[rows])


def weighted(latents: Latents, counts: Tensor) -> WeightedLatents:
    """Attach counts ``(B, K)`` to the rows."""
    return WeightedLatents(
        latents.values, latents.available, latents.padding, latents.target, counts
    )


def bayesian_bootstrap(num_rows: int, members: int, like: Tensor) -> Tensor:
    """Row weights ``(B, K)`` of mean 1 from a flat Dirichlet; the default generator."""
    # Pyro refuses a scale of zero, which float32 can draw.
    drawn = torch.empty(num_rows, members).exponential_().clamp_min(1e-6).to(like)
    return drawn / drawn.mean(0)


class MemberReconstructionStep(Step):
    """Phase 1 for all members at once."""

    name = "reconstructor/ensemble"

    def __init__(self, model: SURE, elbo, handler, reconstructors: Stack):
        super().__init__(model, elbo, handler)
        self.reconstructors = reconstructors

    def trained(self) -> tuple[nn.Module, ...]:
        """See `Step.trained`."""
        return (self.reconstructors,)

    def trainable(self) -> tuple[nn.Module, ...]:
        """See `Step.trainable`."""
        return self.trained()

    def forward(self, latents: Latents, visible: Masks) -> Tensor:
        """Loss of a batch."""
        r = folded(self.reconstructors(latents.values, visible))
        latents, visible = repeated(latents, visible, self.reconstructors.size)
        with self.handler():
            loss = self.elbo.differentiable_loss(sample_latents, self.guide, latents, visible, r)
        self.terms = self.elbo.terms | squared_errors(latents, visible, r)
        return loss


class MemberRows(NamedTuple):
    """What is known of every row: the tokens that exist, and whose row it is, ``(B,)``."""

    exists: dict[str, Tensor]
    member: Tensor


class MemberHeadStep(Step):
    """Phase 2 for all members at once, each on its own reconstructions and its own row weights.

    The last epoch is kept. What tells the members apart is which rows they saw, and validation,
    which all of them share, would choose the head from which all of them start.
    """

    name = "head/ensemble"

    def __init__(self, model: SURE, elbo, handler, heads: Stack, reconstructors: Stack | None):
        super().__init__(model, elbo, handler)
        self.heads = heads
        self.reconstructors = (reconstructors,)  # not trained here, so no submodule
        self.epochs = 0

    def trained(self) -> tuple[nn.Module, ...]:
        """See `Step.trained`."""
        return (self.heads,)

    def trainable(self) -> tuple[nn.Module, ...]:
        """See `Step.trainable`."""
        return self.trained()

    def forward(self, latents: Latents, visible: Masks) -> Tensor:
        """Loss of a batch."""
        counts = _counts(latents)
        with torch.no_grad():
            r = self._reconstruct(latents, visible)
        latents, visible = repeated(latents, visible, self.heads.size)
        mean, variance, exists = self.model.fusion_input(latents, visible, r)
        rows = torch.arange(len(latents), device=self.model.space.like.device)
        known = MemberRows(exists, rows // (len(latents) // self.heads.size))
        output = self._respond(mean, known)
        propagated = taylor(self._respond, mean, variance, known=known)
        from_latents = propagated.without_source("head").variance
        total = Output(output.mean, total_variance([from_latents, output.variance]))
        with self.handler(), poutine.scale(scale=counts):
            loss = self.elbo.differentiable_loss(
                sample_target, no_guide, self.model.head, total, latents.target
            )
        self.terms = dict(self.elbo.terms)
        return loss

    def epoch_finished(self) -> None:
        """See `Step.epoch_finished`."""
        self.epochs += 1

    def selection_loss(self, loss: Tensor) -> Tensor:
        """See `Step.selection_loss`: lower with every epoch."""
        return torch.full_like(loss, -self.epochs)

    def _reconstruct(self, latents: Latents, visible: Masks) -> dict[str, LocScale]:
        (reconstructors,) = self.reconstructors
        if reconstructors is not None:
            return folded(reconstructors.eval()(latents.values, visible))
        K = self.heads.size
        return {
            name: LocScale(x.loc.repeat(K, 1, 1), x.scale.repeat(K, 1, 1))
            for name, x in self.model.reconstruct(latents, visible).items()
        }

    def _respond(self, zt: dict[str, Tensor], known: MemberRows) -> Output:
        """Head of each row's own member: all heads on all rows (they are small), then a choice."""
        omega = partial(self.model.space.fuse, exists=known.exists)
        outputs = response(self.heads, omega, zt)
        rows = torch.arange(len(known.member), device=known.member.device)
        return Output(*(x[known.member, rows] for x in outputs))


def _counts(latents: Latents) -> Tensor | float:
    """Weight of each row of each member, in the order of `repeated`."""
    if isinstance(latents, WeightedLatents) and latents.counts is not None:
        return latents.counts.mT.reshape(-1)  # (K B,)
    return 1.0


def repeated(latents: Latents, visible: Masks, members: int) -> tuple[Latents, Masks]:
    """The same rows for every member, one after the other."""

    def each(tensors: Masks) -> Masks:
        return {name: x.repeat(members, *[1] * (x.ndim - 1)) for name, x in tensors.items()}

    target = latents.target
    if target is not None:
        target = target.repeat(members, *[1] * (target.ndim - 1))
    many = Latents(each(latents.values), each(latents.available), each(latents.padding), target)
    return many, each(visible)


def folded(reconstruction: dict) -> dict[str, LocScale]:
    """From an axis of members to rows: ``(K, B, L, D)`` to ``(K B, L, D)``."""
    return {
        name: LocScale(loc.flatten(0, 1), scale.flatten(0, 1))
        for name, (loc, scale) in reconstruction.items()
    }


def fresh_parts(model: SURE, number: int) -> Iterator[nn.Module]:
    """Reconstructors of the model's form with weights of their own; the default generator."""
    blank = copy.deepcopy(model)
    for _ in range(number):
        blank.build(model.head.mean.in_features, model.head.mean.out_features)
        yield blank.reconstructor
