"""Fit a guide over the weights of a `SURE`, by the same loop and the same likelihoods."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sure_pyro.guides import (
    EnsembleGuide,
    LaplaceGuide,
    SWAGGuide,
    TrainedGuide,
    WeightGuide,
    WeightProgram,
)
from sure_pyro.guides.swag import Trajectory
from sure_pyro.models import SURE, Latents
from sure_pyro.models.latents import Masks
from sure_pyro.objectives import CorrelationELBO
from sure_pyro.objectives.presets import Handler
from sure_pyro.training.history import History
from sure_pyro.training.likelihoods import masked_batches, weight_program
from sure_pyro.training.loop import Settings, run_phase
from sure_pyro.training.members import (
    MemberHeadStep,
    MemberReconstructionStep,
    Stack,
    bayesian_bootstrap,
    fresh_parts,
    weighted,
)
from sure_pyro.training.steps import HeadStep, ReconstructionStep, Step

if TYPE_CHECKING:
    import lightning_fabric

# A Normal's log-scales start near their optimum, and weights at the fitted ones: few epochs, at a
# rate that lets scales move. The prior is in the program, so there is no weight decay beside it.
SETTINGS = {
    "reconstructor": Settings(epochs=40, lr=2e-3, batch_size=64, weight_decay=0.0),
    "head": Settings(epochs=30, lr=2e-3, weight_decay=0.0),
}
# As phase 1; heads start at the fitted one.
MEMBER_SETTINGS = {
    "reconstructor": Settings(epochs=150, lr=2e-3, batch_size=64),
    "head": Settings(epochs=15, lr=1e-3),  # the last is kept
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
    fabric: "lightning_fabric.Fabric"
    history: History
    seed: int
    changes: dict
    progress_bar: bool

    def program(self, part: str, guide: WeightGuide) -> WeightProgram:
        """Prior and likelihood of a part, for the full data."""
        _, handler = self.objective()
        return weight_program(self.model, part, guide, len(self.train), handler)

    def batches(self, batch_size: int, repeats: int) -> list[tuple[Latents, Masks]]:
        """The training rows under random masks."""
        odds = self.changes.get("hiding")
        return masked_batches(self.train, batch_size, repeats, self.seed, odds)

    def run(self, step: Step, settings: Settings, train: Latents | None = None) -> None:
        """Run a step through the loop."""
        run_phase(
            step, train or self.train, self.validation, self.masks,
            replace(settings, **self.changes), self.fabric, self.history,
            progress_bar=self.progress_bar,
        )  # fmt: skip


def fit_guide(guide: WeightGuide, occasion: Occasion) -> None:
    """Fit a guide over the fitted weights of a model and leave it in ``model.weights``.

    Interrupted, it leaves the parts that it has learnt so far, if they are all.
    """
    model = occasion.model
    guide.learnt = {}
    model.eval()
    torch.manual_seed(occasion.seed)  # whatever was fitted before: the caller restores the state
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
        batches = occasion.batches(rows, masks)
        guide.fit_curvature(program, batches, occasion.seed)


@learn.register
def _(guide: TrainedGuide, occasion: Occasion) -> None:
    for part in guide.over:
        program = occasion.program(part, guide)
        batch = occasion.batches(FULL_BATCH, 1)[0]
        approximation = guide.approximation(program, batch)
        if guide.needs_training(program):
            step = GuideStep(occasion, program, approximation, f"{part}/{guide.kind}")
            try:
                occasion.run(step, SETTINGS[part])
            finally:  # interrupted too: the best so far
                guide.keep(program, approximation)
        else:
            guide.keep(program, approximation)


@learn.register
def _(guide: EnsembleGuide, occasion: Occasion) -> None:
    """The fitted model is the first member; the others are trained beside each other."""
    model, others = occasion.model, guide.members - 1
    reconstructors = None
    if "reconstructor" in guide.over:
        reconstructors = Stack(list(fresh_parts(model, others)))
        step: Step = MemberReconstructionStep(model, *occasion.objective(), reconstructors)
        occasion.run(step, MEMBER_SETTINGS["reconstructor"])
        guide.learn("reconstructor", _with_first(model, "reconstructor", reconstructors))
    if "head" in guide.over:
        heads = Stack([model.head] * others)
        counts = bayesian_bootstrap(len(occasion.train), others, model.space.like)
        step = MemberHeadStep(model, *occasion.objective(), heads, reconstructors)
        occasion.run(step, MEMBER_SETTINGS["head"], weighted(occasion.train, counts))
        guide.learn("head", _with_first(model, "head", heads))


def _with_first(model: SURE, part: str, others: Stack) -> dict[str, Tensor]:
    """Stacked weights of all members by their names in the model."""
    first = dict(getattr(model, part).named_parameters())
    return {
        f"{part}.{name}": torch.cat([first[name].detach().unsqueeze(0), w.detach()])
        for name, w in others.weights().items()
    }


@learn.register
def _(guide: SWAGGuide, occasion: Occasion) -> None:
    """Go on with each phase at a constant rate, then put the fitted weights back."""
    model = occasion.model
    for part in guide.over:
        fitted = {n: t.clone() for n, t in getattr(model, part).state_dict().items()}
        trajectory = Trajectory(guide.rank)
        step = {"reconstructor": _SWAGReconstructor, "head": _SWAGHead}[part](
            model, *occasion.objective()
        )
        step.look = lambda part=part, to=trajectory: to.add(
            {f"{part}.{n}": p for n, p in getattr(model, part).named_parameters()}
        )
        try:
            occasion.run(step, SWAG_SETTINGS[part])
        finally:
            getattr(model, part).load_state_dict(fitted)
        guide.learn_trajectory(part, trajectory)


@dataclass(frozen=True)
class ConstantRate(Settings):
    """Settings whose learning rate does not fall, and that never stop early."""

    def lr_at(self, epoch: int) -> float:
        """The learning rate."""
        return self.lr


# A quarter of the phases' own rates: iterates wander around the fitted weights, not away from them.
SWAG_SETTINGS = {
    "reconstructor": ConstantRate(epochs=30, lr=5e-4, batch_size=64, patience=10**6),
    "head": ConstantRate(epochs=20, lr=2.5e-4, patience=10**6),
}


class _Looking:
    """A step that hands its weights on after every epoch."""

    look: Callable[[], None]

    def epoch_finished(self) -> None:
        self.look()


class _SWAGReconstructor(_Looking, ReconstructionStep):
    name = "reconstructor/swag"


class _SWAGHead(_Looking, HeadStep):
    name = "head/swag"


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

    def forward(self, latents: Latents, visible: Masks) -> Tensor:
        """Loss of a batch."""
        with torch.random.fork_rng(enabled=not self.training):
            if not self.training:
                torch.manual_seed(0)
            loss = self.elbo.differentiable_loss(self.program, self.approximation, latents, visible)
        self.terms = dict(self.elbo.terms)
        return loss
