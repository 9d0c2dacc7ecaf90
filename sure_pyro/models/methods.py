"""The methods of `SURE.predict`, once for the fitted weights or once for each draw of them."""

from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor

from sure_pyro.models.heads import Head, Output
from sure_pyro.models.latents import Latents
from sure_pyro.models.reconstructor import LocScale
from sure_pyro.models.weights import with_weights
from sure_pyro.propagation import Moments, mixture, sampling, taylor
from sure_pyro.propagation.inputs import Expect

if TYPE_CHECKING:
    from sure_pyro.models.sure import SURE

METHODS: dict[str, tuple[str, ...]] = {
    "taylor": ("taylor",),
    "sampling": ("sampling",),
    "both": ("taylor", "sampling"),
    "none": (),
}


class Draws(NamedTuple):
    """How many draws of latents and of weights, and their seed."""

    num_samples: int
    num_weights: int
    seed: int


def moments_by_method(
    model: "SURE",
    latents: Latents,
    reconstruction: dict[str, LocScale],
    propagate: str,
    draws: Draws,
) -> dict[str, Moments]:
    """Moments by method; with a posterior of the weights, mixed over its draws (equation 10).

    The draws of the latents are shared out among the draws of the weights, so that the sampling
    method costs about the same with and without; the Taylor method costs once for each.
    """
    moments = {"none": point(model, latents, reconstruction)}
    methods = METHODS[propagate]
    posterior = model.weights if draws.num_weights else None
    if posterior is None:
        draw = (draws.num_samples, draws.seed)
        return moments | propagated(model, latents, reconstruction, methods, *draw)
    if not methods:
        return moments
    weights = posterior.to(model.space.like).draws(draws.num_weights, draws.seed)
    each = max(2, -(-draws.num_samples // len(weights)))
    seeds = _other_seeds(len(weights), draws.seed)
    under = [
        with_weights(model, w, partial(_reconstructed_anew, latents, methods, each, s))
        for w, s in zip(weights, seeds, strict=True)
    ]
    return moments | {method: mixture([m[method] for m in under]) for method in methods}


def point(model: "SURE", latents: Latents, reconstruction: dict[str, LocScale]) -> Moments:
    """The point prediction, in units of the target, with the head's own variance."""
    mean, _, exists = model.fusion_input(latents, latents.available, reconstruction)
    output = model.respond_in_units(mean, exists)
    return Moments(mean=output.mean, sources={"head": output.variance})


def propagated(
    model: "SURE",
    latents: Latents,
    reconstruction: dict[str, LocScale],
    methods: tuple[str, ...],
    num_samples: int,
    seed: int,
) -> dict[str, Moments]:
    """Moments by method, in units of the target, under the weights that the model has now."""
    mean, variance, exists = model.fusion_input(latents, latents.available, reconstruction)
    moments = {}
    if "taylor" in methods:
        moments["taylor"] = taylor(model.respond_in_units, mean, variance, known=exists)
    if "sampling" in methods:
        moments["sampling"] = sampling(
            model.respond_in_units,
            mean,
            variance,
            known=exists,
            num_samples=num_samples,
            seed=seed,
            expect=_probabilities(model.head),
        )
    return moments


def _reconstructed_anew(
    latents: Latents, methods: tuple[str, ...], num_samples: int, seed: int, model: "SURE"
) -> dict[str, Moments]:
    """As `propagated`: other weights reconstruct otherwise."""
    reconstruction = model.reconstruct(latents, latents.available)
    return propagated(model, latents, reconstruction, methods, num_samples, seed)


def _probabilities(head: Head) -> Expect | None:
    """Probabilities of logits, for classes and labels: E[softmax] comes from the same draws."""
    if head.task == "regression":
        return None

    def probabilities(logits: Tensor, variance: Tensor | None) -> Tensor:
        assert variance is not None  # every head has one
        return cast(Tensor, head.probabilities(Output(logits, variance)))

    return probabilities


def _other_seeds(num: int, seed: int) -> list[int]:
    """Seeds for the latents that are none of the weights' own: the noises must not be the same."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2**62, (2, num), generator=generator)[1].tolist()
