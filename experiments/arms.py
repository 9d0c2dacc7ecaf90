"""Ways to train at one budget: the arms of the experiments on dominance and on phases.

An arm is a sequence of stages; a stage is a `Step` of the library, or one of the two steps below
that also move the fusion. The epochs are shared out among the stages, with the same rows and sizes
of batches, and none stops early: every arm takes the same number of optimiser steps.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

import sure_pyro as sp
from sure_pyro.backbones import MLPBackbone
from sure_pyro.models import Latents, LocScale, Reconstructor
from sure_pyro.models.hiding import hide
from sure_pyro.models.latents import Masks
from sure_pyro.models.program import sample_target
from sure_pyro.objectives import preset
from sure_pyro.training.history import History
from sure_pyro.training.loop import run_phase
from sure_pyro.training.settings import Settings
from sure_pyro.training.steps import HeadStep, JointStep, ReconstructionStep, Step, no_guide

BATCH_SIZE = 64
LR = 2e-3  # of the library's phase 1 and of the pretraining of the fusion
TINY = 1e-6  # scale of what is taken as known

Stages = tuple[tuple[str, float], ...]
"""Name of a step and its share of the epochs."""

ARMS: dict[str, Stages] = {
    "two phases": (("reconstruction", 0.75), ("head", 0.25)),
    "reconstruction, then joint": (("reconstruction", 0.5), ("joint", 0.5)),
    "joint": (("joint", 1.0),),
    "reconstruction, then fusion": (("reconstruction", 0.5), ("end-to-end", 0.5)),
    "end to end": (("end-to-end", 1.0),),
    "modality dropout": (("dropout", 1.0),),
}


class EndToEndStep(JointStep):
    """`JointStep` that moves the fusion as well; its dropout stays off, the projectors stay."""

    name = "end-to-end"

    def trained(self) -> tuple[nn.Module, ...]:
        """See `Step.trained`."""
        return (*super().trained(), fusion_of(self.model))

    def train(self, mode: bool = True) -> Step:
        """See `Step.train`."""
        super().train(mode)
        fusion_of(self.model).eval()
        return self


class DropoutStep(HeadStep):
    """Fine-tune fusion and head on rows whose hidden latents are zero: nothing is reconstructed."""

    name = "dropout"

    def trained(self) -> tuple[nn.Module, ...]:
        """See `Step.trained`."""
        return (self.model.head, fusion_of(self.model))

    def train(self, mode: bool = True) -> Step:
        """See `Step.train`."""
        super().train(mode)
        fusion_of(self.model).eval()
        return self

    def forward(self, latents: Latents, visible: Masks) -> Tensor:
        """Loss of a batch."""
        r = self.model.reconstruct(latents, visible)
        zt = self.model.fill(latents, visible, {name: x.loc for name, x in r.items()})
        output = self.model.respond(zt, latents.exists(visible))
        with self.handler():
            loss = self.elbo.differentiable_loss(
                sample_target, no_guide, self.model.head, output, latents.target
            )
        self.terms = dict(self.elbo.terms)
        return loss


class Zeros(Reconstructor):
    """Zero, in the backbone's own units, for whatever is missing; with hardly any variance."""

    def __init__(self, model: sp.SURE):
        super().__init__(model.space.shapes)
        zeros = {n: torch.zeros(1, *shape).to(model.space.like) for n, shape in self.shapes.items()}
        self.zeros = model.space.standardize(zeros)

    def forward(self, values, visible) -> dict[str, LocScale]:
        """See `Reconstructor.forward`."""
        zeros = {n: self.zeros[n].expand_as(z) for n, z in values.items()}
        return {n: LocScale(z, torch.full_like(z, TINY)) for n, z in zeros.items()}


STEPS: dict[str, type[Step]] = {
    step.name: step for step in (ReconstructionStep, HeadStep, JointStep, EndToEndStep, DropoutStep)
}


def fusion_of(model: sp.SURE) -> nn.Module:
    """The fusion of a small backbone, without its projectors."""
    assert isinstance(model.backbone, MLPBackbone)
    return model.backbone.fusion


def shared_out(stages: Stages, epochs: int) -> list[tuple[str, int]]:
    """Whole epochs of every stage, at least one each; the last one takes what is left."""
    first = [(name, max(1, int(share * epochs))) for name, share in stages[:-1]]
    left = epochs - sum(number for _, number in first)
    return [*first, (stages[-1][0], max(1, left))]


def train_arm(
    train: sp.Batch,
    validation: sp.Batch,
    *,
    backbone: sp.Backbone,
    seed: int,
    arm: str,
    epochs: int,
    odds: Mapping[str, float] | None = None,
) -> sp.SURE:
    """Train an arm; a function as `compare` takes it, once `arm` and `epochs` are given.

    Parameters
    ----------
    train, validation, backbone, seed
        See `sure_pyro.comparison.recipe.Built`. The fusion of the backbone is changed where the arm
        says so.
    arm : str
        Of `ARMS`.
    epochs : int
        Of all stages together.
    odds : mapping, optional
        With which modalities are hidden, see `sure_pyro.fit`.
    """
    model = sp.SURE(backbone)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.initialize(train)
        if arm == "modality dropout":
            model.reconstructor = Zeros(model)
        rows, held_out = model.encode(train), model.encode(validation)
        held_out = held_out[torch.arange(len(held_out)).repeat(2)]  # each under two masks
        masks = hide(held_out, torch.Generator().manual_seed(seed), odds=odds)
        fusion_of(model).requires_grad_(True)
        for name, number in shared_out(ARMS[arm], epochs):
            settings = Settings(number, LR, BATCH_SIZE, patience=number, hiding=odds)
            run_phase(
                STEPS[name](model, *preset("elbo+pcc")), rows, held_out, masks, settings,
                Fabric(accelerator="cpu", devices=1), History(), progress_bar=False,
            )  # fmt: skip
    backbone.freeze()
    return model.eval()


def steps_of(num_rows: int, epochs: int) -> int:
    """Optimiser steps of any arm."""
    return epochs * -(-num_rows // BATCH_SIZE)
