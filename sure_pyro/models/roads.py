"""The roads of `SURE.predict`, once for the fitted weights or once for each draw of them."""

from functools import partial
from typing import TYPE_CHECKING

import torch

from sure_pyro.models.latents import Latents
from sure_pyro.models.weights import with_weights
from sure_pyro.propagation import Moments, mixture, sampling, taylor

if TYPE_CHECKING:
    from sure_pyro.models.sure import SURE


def take_roads(
    model: "SURE", latents: Latents, propagate: str, num_samples: int, num_weights: int, seed: int
) -> dict[str, Moments]:
    """Moments by road; with a posterior of the weights, mixed over its draws (equation 10).

    The draws of the latents are shared out among the draws of the weights, so that the sampling
    road costs about the same with and without; the Taylor road costs once for each.
    """
    roads = {"both": ("taylor", "sampling"), "none": ()}.get(propagate, (propagate,))
    posterior = model.weights if num_weights else None
    if posterior is None:
        return _roads(latents, ("none", *roads), num_samples, seed, model)
    moments = _roads(latents, ("none",), num_samples, seed, model)
    if not roads:
        return moments
    draws = posterior.to(model.space.like).draws(num_weights, seed)
    each = max(2, -(-num_samples // len(draws)))
    seeds = _other_seeds(len(draws), seed)
    under = [
        with_weights(model, weights, partial(_roads, latents, roads, each, s))
        for weights, s in zip(draws, seeds, strict=True)
    ]
    return moments | {road: mixture([m[road] for m in under]) for road in roads}


def _other_seeds(num: int, seed: int) -> list[int]:
    """Seeds for the latents that are none of the weights' own: the noises must not be the same."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2**62, (2, num), generator=generator)[1].tolist()


def _roads(
    latents: Latents, roads: tuple[str, ...], num_samples: int, seed: int, model: "SURE"
) -> dict[str, Moments]:
    """Moments by road under the weights that the model has now."""
    visible = latents.available
    mean, variance = model.propagation_problem(
        latents, visible, model.reconstruct(latents, visible)
    )
    moments = {}
    if "none" in roads:
        moments["none"] = model._point(mean)
    if "taylor" in roads:
        moments["taylor"] = taylor(model._in_units, mean, variance)
    if "sampling" in roads:
        moments["sampling"] = sampling(
            model._in_units_and_probabilities, mean, variance, num_samples=num_samples, seed=seed
        )
    return moments
