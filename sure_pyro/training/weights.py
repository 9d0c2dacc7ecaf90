"""Fit a guide over the weights of a `SURE`, by the same loop and the same likelihoods."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import singledispatch

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from sure_pyro.guides import LaplaceGuide, TrainedGuide, WeightGuide, WeightProgram
from sure_pyro.models import SURE, Latents
from sure_pyro.models.latents import Masks
from sure_pyro.objectives import CorrelationELBO
from sure_pyro.objectives.presets import Handler
from sure_pyro.training.history import History
from sure_pyro.training.likelihoods import masked_batches, weight_program
from sure_pyro.training.loop import Settings, run_phase
from sure_pyro.training.steps import Step

# A Normal's log-scales start near their optimum, and weights at the fitted ones: few epochs, at a
# rate that lets scales move. The prior is in the program, so there is no weight decay beside it.
SETTINGS = {
    "reconstructor": Settings(epochs=40, lr=2e-3, batch_size=64, weight_decay=0.0),
    "head": Settings(epochs=30, lr=2e-3, weight_decay=0.0),
}
FULL_BATCH, DIAGONAL_BATCH = 1024, 64  # rows: of exact and of estimated curvature
FULL_MASKS, DIAGONAL_MASKS = 2, 4  # random masks of each row, for the curvature


@dataclass(frozen=True)
class Occasion:
    """All that fitting a guide needs beside the guide."""

    model: SURE
    train: Latents
    validation: Latents
    masks: Masks
    objective: Callable[[], tuple[CorrelationELBO, Handler]]
    fabric: Fabric
    history: History
    seed: int
    changes: dict
    progress_bar: bool

    def program(self, part: str, guide: WeightGuide) -> WeightProgram:
        """Prior and likelihood of a part, for the full data."""
        _, handler = self.objective()
        return weight_program(self.model, part, guide, len(self.train), handler)

    def run(self, step: Step, settings: Settings) -> None:
        """Run a step through the loop."""
        run_phase(
            step, self.train, self.validation, self.masks, replace(settings, **self.changes),
            self.fabric, self.history, progress_bar=self.progress_bar,
        )  # fmt: skip


def fit_guide(guide: WeightGuide, occasion: Occasion) -> None:
    """Fit a guide over the fitted weights of a model and leave it in ``model.weights``.

    Interrupted, it leaves the parts that it has learnt so far, if they are all.
    """
    model = occasion.model
    guide.learnt = {}
    model.eval()
    try:
        learn(guide, occasion)
    finally:
        model.eval()
        if set(guide.learnt) == set(guide.over):
            model.weights = guide


@singledispatch
def learn(guide, occasion: Occasion) -> None:
    """Learn all parts of a guide, in the way of its kind."""
    raise TypeError(f"There is no way to fit a guide of type {type(guide).__name__}.")


@learn.register
def _(guide: LaplaceGuide, occasion: Occasion) -> None:
    for part in guide.over:
        program = occasion.program(part, guide)
        full = guide.structure_for(sum(w.numel() for w in program.fitted.values())) == "full"
        rows, masks = (FULL_BATCH, FULL_MASKS) if full else (DIAGONAL_BATCH, DIAGONAL_MASKS)
        batches = masked_batches(occasion.train, rows, masks, occasion.seed)
        guide.fit_curvature(program, batches, occasion.seed)


@learn.register
def _(guide: TrainedGuide, occasion: Occasion) -> None:
    for part in guide.over:
        program = occasion.program(part, guide)
        batch = masked_batches(occasion.train, FULL_BATCH, 1, occasion.seed)[0]
        approximation = guide.approximation(program, batch)
        if guide.needs_training(program):
            step = GuideStep(occasion, program, approximation, f"{part}/{guide.kind}")
            try:
                occasion.run(step, SETTINGS[part])
            finally:  # interrupted too: the best so far
                guide.keep(program, approximation)
        else:
            guide.keep(program, approximation)


class GuideStep(Step):
    """Equation 6 over weights drawn from a guide; their prior counts once per data set.

    The model stays in evaluation mode: what is random is the guide. Validation draws the same
    weights in every epoch, so that epochs are compared on equal terms.
    """

    def __init__(
        self, occasion: Occasion, program: WeightProgram, approximation: nn.Module, name: str
    ):
        super().__init__(occasion.model, *occasion.objective())
        self.name = name
        self.program, self.approximation = program, approximation

    def trained(self) -> tuple[nn.Module, ...]:
        """See `Step.trained`."""
        return (self.approximation,)

    def trainable(self) -> tuple[nn.Module, ...]:
        """See `Step.trainable`."""
        return (self.approximation,)

    def train(self, mode: bool = True) -> "GuideStep":
        """Set the mode of everything but the model."""
        super().train(mode)
        self.model.eval()
        return self

    def forward(self, latents: Latents, visible: Masks) -> Tensor:
        """Loss of a batch."""
        with torch.random.fork_rng(enabled=not self.training):
            if not self.training:
                torch.manual_seed(0)
            loss = self.elbo.differentiable_loss(self.program, self.approximation, latents, visible)
        self.terms = dict(self.elbo.terms)
        return loss
