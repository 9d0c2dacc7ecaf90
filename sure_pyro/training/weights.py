"""Fit a guide over the weights of a `SURE`, by the same loop and the same likelihoods."""

from functools import singledispatch

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
from sure_pyro.training.context import Context
from sure_pyro.training.members import (
    MemberHeadStep,
    MemberReconstructionStep,
    Stack,
    bayesian_bootstrap,
    fresh_parts,
    weighted,
)
from sure_pyro.training.settings import ConstantRate, Settings
from sure_pyro.training.steps import HeadStep, ReconstructionStep, Step

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


def fit_guide(guide: WeightGuide, context: Context) -> None:
    """Fit a guide over the fitted weights of a model and leave it in ``model.weights``.

    Interrupted, it leaves the parts that it has learnt so far, if they are all.
    """
    model = context.model
    guide.learnt = {}
    model.eval()
    torch.manual_seed(context.seed)  # whatever was fitted before: the caller restores the state
    try:
        learn(guide, context)
    finally:
        model.eval()
        if set(guide.learnt) == set(guide.over):
            model.weights = guide


@singledispatch
def learn(guide, context: Context) -> None:
    """Learn all parts of a guide, in the way of its kind."""
    raise TypeError(f"There is no way to fit a guide of type {type(guide).__name__}.")


@learn.register
def _(guide: LaplaceGuide, context: Context) -> None:
    for part in guide.over:
        program = context.program(part, guide)
        full = guide.structure_for(sum(w.numel() for w in program.fitted.values())) == "full"
        rows, masks = (FULL_BATCH, FULL_MASKS) if full else (DIAGONAL_BATCH, DIAGONAL_MASKS)
        batches = context.batches(rows, masks)
        guide.fit_curvature(program, batches, context.seed)


@learn.register
def _(guide: TrainedGuide, context: Context) -> None:
    for part in guide.over:
        program = context.program(part, guide)
        batch = context.batches(FULL_BATCH, 1)[0]
        approximation = guide.approximation(program, batch)
        if guide.needs_training(program):
            step = GuideStep(context, program, approximation, f"{part}/{guide.kind}")
            try:
                context.run(step, context.changed(SETTINGS[part]))
            finally:  # interrupted too: the best so far
                guide.keep(program, approximation)
        else:
            guide.keep(program, approximation)


@learn.register
def _(guide: EnsembleGuide, context: Context) -> None:
    """The fitted model is the first member; the others are trained beside each other."""
    model, others = context.model, guide.members - 1
    reconstructors = None
    if "reconstructor" in guide.over:
        reconstructors = Stack(list(fresh_parts(model, others)))
        step: Step = MemberReconstructionStep(model, *context.objective(), reconstructors)
        context.run(step, context.changed(MEMBER_SETTINGS["reconstructor"]))
        guide.learn("reconstructor", _with_first(model, "reconstructor", reconstructors))
    if "head" in guide.over:
        heads = Stack([model.head] * others)
        counts = bayesian_bootstrap(len(context.rows), others, model.space.like)
        step = MemberHeadStep(model, *context.objective(), heads, reconstructors)
        context.run(step, context.changed(MEMBER_SETTINGS["head"]), weighted(context.rows, counts))
        guide.learn("head", _with_first(model, "head", heads))


def _with_first(model: SURE, part: str, others: Stack) -> dict[str, Tensor]:
    """Stacked weights of all members by their names in the model."""
    first = dict(getattr(model, part).named_parameters())
    return {
        f"{part}.{name}": torch.cat([first[name].detach().unsqueeze(0), w.detach()])
        for name, w in others.weights().items()
    }


@learn.register
def _(guide: SWAGGuide, context: Context) -> None:
    """Go on with each phase at a constant rate, then put the fitted weights back."""
    model = context.model
    for part in guide.over:
        fitted = {n: t.clone() for n, t in getattr(model, part).state_dict().items()}
        kind = SWAGReconstructionStep if part == "reconstructor" else SWAGHeadStep
        step = kind(model, *context.objective(), guide.rank)
        try:
            context.run(step, context.changed(SWAG_SETTINGS[part]))
        finally:
            getattr(model, part).load_state_dict(fitted)
        guide.learn_trajectory(part, step.trajectory)


# A quarter of the phases' own rates: iterates wander around the fitted weights, not away from them.
SWAG_SETTINGS = {
    "reconstructor": ConstantRate(epochs=30, lr=5e-4, batch_size=64, patience=10**6),
    "head": ConstantRate(epochs=20, lr=2.5e-4, patience=10**6),
}


class _WithTrajectory(Step):
    """A step that takes the weights of its part into a trajectory after every epoch."""

    part: str

    def __init__(self, model: SURE, elbo: CorrelationELBO, handler: Handler, rank: int):
        super().__init__(model, elbo, handler)
        self.trajectory = Trajectory(rank)

    def epoch_finished(self) -> None:
        """See `Step.epoch_finished`."""
        weights = getattr(self.model, self.part).named_parameters()
        self.trajectory.add({f"{self.part}.{name}": p for name, p in weights})


class SWAGReconstructionStep(_WithTrajectory, ReconstructionStep):
    """Phase 1 on the way around its end."""

    name, part = "reconstructor/swag", "reconstructor"


class SWAGHeadStep(_WithTrajectory, HeadStep):
    """Phase 2 on the way around its end."""

    name, part = "head/swag", "head"


class GuideStep(Step):
    """Equation 6 over weights drawn from a guide; their prior counts once per data set.

    The model stays in evaluation mode: what is random is the guide. Validation draws the same
    weights in every epoch, so that epochs are compared on equal terms.
    """

    def __init__(
        self, context: Context, program: WeightProgram, approximation: nn.Module, name: str
    ):
        super().__init__(context.model, *context.objective())
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
