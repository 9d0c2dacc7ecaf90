"""One training step for each phase: an ``nn.Module`` whose forward pass returns the loss.

The reconstruction is computed once, outside the traces, and handed to model and guide alike: the
effect handlers see only the sample statements, and the step costs what its network costs.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from sure_pyro.equations import response, total_variance
from sure_pyro.guides import AmortisedGuide, ReconstructorGuide
from sure_pyro.models import SURE, Latents, LocScale, Output
from sure_pyro.models.latents import Masks
from sure_pyro.models.program import sample_latents, sample_target
from sure_pyro.objectives import CorrelationELBO, FixedScale
from sure_pyro.objectives.presets import Handler


class Step(nn.Module, ABC):
    """A phase of the training.

    Parameters
    ----------
    model : SURE
        Initialised.
    elbo : CorrelationELBO
        Equation 6.
    handler : callable that returns a Messenger
        The effect handler under which the model runs.

    Attributes
    ----------
    terms : dict of str to Tensor
        What the history keeps of the last forward pass.
    """

    name: str

    def __init__(self, model: SURE, elbo: CorrelationELBO, handler: Handler):
        super().__init__()
        self.model = model
        self.elbo = elbo
        elbo.forget()
        self.handler = handler
        self.guide: ReconstructorGuide | AmortisedGuide = ReconstructorGuide()
        self.terms: dict[str, Tensor] = {}

    @abstractmethod
    def trained(self) -> tuple[nn.Module, ...]:
        """The parts of the model that this phase trains."""

    def trainable(self) -> tuple[nn.Module, ...]:
        """The parts of the model that any phase trains: what a checkpoint holds."""
        return (self.model.reconstructor, self.model.head)

    def parameters_to_train(self) -> Iterator[nn.Parameter]:
        """Their parameters."""
        return (p for module in self.trained() for p in module.parameters())

    def epoch_finished(self) -> None:
        """Look at the weights after an epoch of training."""

    def finish(self, validation: Latents, masks: Masks) -> None:
        """Estimate from validation rows what is no matter of gradients, once the phase is over."""

    def selection_loss(self, loss: Tensor) -> Tensor:
        """What the best epoch is chosen by, given the validation loss.

        The score where it sees the variance: a correlation on few validation rows is noisy. A
        score that does not (squared error) could not choose between two variances, so there the
        whole loss decides.
        """
        sees_variance = getattr(self.handler(), "sees_variance", True)
        return -self.elbo.terms["elbo"] if sees_variance else loss


class ReconstructionStep(Step):
    """Phase 1: reconstructors against what was hidden, equation 6 over the sites ``z_*``."""

    name = "reconstruction"

    def trained(self) -> tuple[nn.Module, ...]:
        """See `Step.trained`."""
        return (self.model.reconstructor,)

    def forward(self, latents: Latents, visible: Masks) -> Tensor:
        """Loss of a batch."""
        r = self.model.reconstruct(latents, visible)
        with self.handler():
            loss = self.elbo.differentiable_loss(sample_latents, self.guide, latents, visible, r)
        self.terms = self.elbo.terms | squared_errors(latents, visible, r)
        return loss


class LocationStep(Step):
    """Phase 1, first half of a faithful objective: locations by squared error alone."""

    name = "location"

    def __init__(self, model: SURE, elbo: CorrelationELBO, handler: Handler):
        super().__init__(model, CorrelationELBO(0.0, sites=()), FixedScale)

    def trained(self) -> tuple[nn.Module, ...]:
        """See `Step.trained`."""
        return (self.model.reconstructor.location,)

    def finish(self, validation: Latents, masks: Masks) -> None:
        """See `Step.finish`."""
        self.model.reconstructor.fit_held_out(self.name, validation, masks)

    def forward(self, latents: Latents, visible: Masks) -> Tensor:
        """Loss of a batch."""
        r = self.model.reconstructor.location(latents.values, visible)
        with self.handler():
            loss = self.elbo.differentiable_loss(sample_latents, self.guide, latents, visible, r)
        self.terms = squared_errors(latents, visible, r)
        return loss


class ScaleStep(Step):
    """Phase 1, second half: scales by the objective, around the locations of their best epoch.

    The errors are those of fixed locations in evaluation mode: nothing that the objective asks of
    the scales can bend them, and dropout does not pass for an error.
    """

    name = "scale"

    def trained(self) -> tuple[nn.Module, ...]:
        """See `Step.trained`."""
        return (self.model.reconstructor.spread,)

    def finish(self, validation: Latents, masks: Masks) -> None:
        """See `Step.finish`."""
        self.model.reconstructor.fit_held_out(self.name, validation, masks)

    def train(self, mode: bool = True) -> "ScaleStep":
        """Set the mode of all but the locations, which stay in evaluation mode."""
        super().train(mode)
        self.model.reconstructor.location.eval()
        return self

    def forward(self, latents: Latents, visible: Masks) -> Tensor:
        """Loss of a batch."""
        r = self.model.reconstruct(latents, visible)
        r = {name: LocScale(x.loc.detach(), x.scale) for name, x in r.items()}
        with self.handler():
            loss = self.elbo.differentiable_loss(sample_latents, self.guide, latents, visible, r)
        self.terms = self.elbo.terms | squared_errors(latents, visible, r)
        return loss


class HeadStep(Step):
    """Phase 2: the head on reconstructed inputs, with the reconstructors frozen.

    Scored is what will be reported, the *total* variance of equation 8: the propagated variance
    enters as a constant, and the head's own variance learns what is left. A head that is scored
    alone on reconstructed inputs learns the effect of the reconstruction error as if it were its
    own, and the sum then counts it twice.

    Parameters
    ----------
    model, elbo, handler
        As in `Step`.
    total_variance : bool
        False scores the head alone, as the paper does.
    """

    name = "head"

    def __init__(self, model, elbo, handler, total_variance: bool = True):
        super().__init__(model, elbo, handler)
        self.total_variance = total_variance

    def trained(self) -> tuple[nn.Module, ...]:
        """See `Step.trained`."""
        return (self.model.head,)

    def forward(self, latents: Latents, visible: Masks) -> Tensor:
        """Loss of a batch."""
        output = head_output(self.model, latents, visible, self.total_variance)
        with self.handler():
            loss = self.elbo.differentiable_loss(
                sample_target, no_guide, self.model.head, output, latents.target
            )
        self.terms = dict(self.elbo.terms)
        return loss


class JointStep(Step):
    """Both at once: gradients of the task reach the reconstructors through the frozen fusion."""

    name = "joint"

    def trained(self) -> tuple[nn.Module, ...]:
        """See `Step.trained`."""
        return (self.model.reconstructor, self.model.head)

    def forward(self, latents: Latents, visible: Masks) -> Tensor:
        """Loss of a batch."""
        r = self.model.reconstruct(latents, visible)
        zt = self.model.fill(latents, visible, {name: x.loc for name, x in r.items()})
        output = self.model.respond(zt, latents.exists(visible))
        output = with_propagated(self.model, output, latents, visible, r)
        with self.handler():
            loss = self.elbo.differentiable_loss(
                self._program, self.guide, latents, visible, r, output
            )
        self.terms = self.elbo.terms | squared_errors(latents, visible, r)
        return loss

    def _program(self, latents, visible, reconstruction, output) -> None:
        sample_latents(latents, visible, reconstruction)
        sample_target(self.model.head, output, latents.target)


class AmortisedStep(Step):
    """Joint training as a generative program: a missing latent is drawn, and the target sees it.

    log p(z_hidden, y | z_visible), with what is missing in the data drawn from a guide that sees
    the target (`AmortisedGuide`), whose divergence from the reconstructor is counted. Unlike in
    `JointStep`, a latent that is hidden on purpose reaches the fusion with its true value.
    """

    name = "joint/amortised"

    def __init__(self, model, elbo, handler):
        super().__init__(model, elbo, handler)
        self.guide = AmortisedGuide.of(model)

    def trained(self) -> tuple[nn.Module, ...]:
        """See `Step.trained`."""
        return (self.model.reconstructor, self.model.head, self.guide)

    def trainable(self) -> tuple[nn.Module, ...]:
        """See `Step.trainable`."""
        return self.trained()

    def forward(self, latents: Latents, visible: Masks) -> Tensor:
        """Loss of a batch; validation draws the same latents in every epoch."""
        r = self.model.reconstruct(latents, visible)
        with torch.random.fork_rng(enabled=not self.training), self.handler():
            if not self.training:
                torch.manual_seed(0)
            loss = self.elbo.differentiable_loss(self._program, self.guide, latents, visible, r)
        self.terms = self.elbo.terms | squared_errors(latents, visible, r)
        return loss

    def _program(self, latents, visible, reconstruction) -> None:
        drawn = sample_latents(latents, visible, reconstruction)
        zt = self.model.fill(latents, visible, drawn)
        output = self.model.respond(zt, latents.exists(visible))
        sample_target(self.model.head, output, latents.target)


def no_guide(*args) -> None:
    """Guide of a program without latent variables."""


def head_output(
    model: SURE, latents: Latents, visible: Masks, total_variance: bool = True
) -> Output:
    """What phase 2 scores: the head on reconstructed inputs, whose gradients are the head's own."""
    with torch.no_grad():
        r = model.reconstruct(latents, visible)
        zt = model.fill(latents, visible, {name: x.loc for name, x in r.items()})
    omega = torch.no_grad()(partial(model.space.fuse, exists=latents.exists(visible)))
    output = response(model.head, omega, zt)
    return with_propagated(model, output, latents, visible, r) if total_variance else output


def with_propagated(model: SURE, output: Output, latents: Latents, visible: Masks, r) -> Output:
    """Add the propagated variance to the head's, equation 8; as a constant, without gradients."""
    detached = {name: LocScale(x.loc.detach(), x.scale.detach()) for name, x in r.items()}
    propagated = model.taylor(latents, visible, detached)
    from_latents = propagated.without_source("head").variance
    return Output(output.mean, total_variance([from_latents, output.variance]))


@torch.no_grad()
def squared_errors(latents: Latents, visible: Masks, reconstruction) -> dict[str, Tensor]:
    """Mean squared error over what was hidden, per modality, in units of the latent's variance."""
    errors = {}
    for name, (loc, _) in reconstruction.items():
        hidden = latents.available[name] & ~visible[name]  # (B, L)
        e = (latents.values[name] - loc).square().mean(-1)
        errors[f"mse/z_{name}"] = (e * hidden).sum() / hidden.sum().clamp(min=1)
    return errors
