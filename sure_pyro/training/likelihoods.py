"""What each part of a `SURE` is scored by, as a program of the part's parameters alone.

A guide over weights learns a part under the likelihood of the phase that trains it: the
reconstructor under the truth of what was hidden, the head under the target, with the reconstructor
at its fitted weights (so that a poorly fitting head can not pull at the reconstructor). Both are
those of the steps, under the same handler.
"""

from collections.abc import Callable, Mapping

import torch

from sure_pyro.guides import WeightGuide, WeightProgram
from sure_pyro.models import SURE, Latents
from sure_pyro.models.hiding import hide
from sure_pyro.models.latents import Masks
from sure_pyro.models.program import sample_latents, sample_target
from sure_pyro.objectives.presets import Handler
from sure_pyro.training.steps import head_output


def reconstructor_likelihood(model: SURE, latents: Latents, visible: Masks) -> None:
    """Sites ``z_*`` of phase 1, where the truth is known."""
    scored = {name: visible[name] | ~a for name, a in latents.available.items()}
    everything = {name: torch.ones_like(a) for name, a in latents.available.items()}
    known = Latents(latents.values, everything, latents.padding, latents.target)
    sample_latents(known, scored, model.reconstruct(latents, visible))


def head_likelihood(model: SURE, latents: Latents, visible: Masks) -> None:
    """Site ``y`` of phase 2, under the total variance of equation 8."""
    sample_target(model.head, head_output(model, latents, visible), latents.target)


LIKELIHOODS: dict[str, Callable[[SURE, Latents, Masks], None]] = {
    "reconstructor": reconstructor_likelihood,
    "head": head_likelihood,
}


def weight_program(
    model: SURE, part: str, guide: WeightGuide, num_rows: int, handler: Handler
) -> WeightProgram:
    """Prior and likelihood of a part of a model, for N rows under masks as in training."""

    def likelihood(model: SURE, latents: Latents, visible: Masks) -> None:
        with handler():
            LIKELIHOODS[part](model, latents, visible)

    names = tuple(f"{part}.{name}" for name, _ in getattr(model, part).named_parameters())
    return WeightProgram(model, likelihood, num_rows, names, guide.prior_scale, part)


def masked_batches(
    latents: Latents,
    batch_size: int,
    repeats: int,
    seed: int,
    odds: Mapping[str, float] | None = None,
) -> list[tuple[Latents, Masks]]:
    """The data under `repeats` random masks (see `hide`), in batches, each with what is visible."""
    generator = torch.Generator().manual_seed(seed)
    return [
        (latents[rows], hide(latents[rows], generator, odds=odds))
        for _ in range(repeats)
        for rows in torch.arange(len(latents)).split(batch_size)
    ]
