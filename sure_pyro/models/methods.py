"""The methods of `SURE.predict`, once for the fitted weights or once for each draw of them."""

from functools import partial
from typing import TYPE_CHECKING

import torch

from sure_pyro.models.latents import Latents
from sure_pyro.models.weights import with_weights
from sure_pyro.propagation import Moments, mixture, sampling, taylor

if TYPE_CHECKING:
    from sure_pyro.models.sure import SURE


def moments_by_method(
    model: "SURE", latents: Latents, propagate: str, num_samples: int, num_weights: int, seed: int
) -> dict[str, Moments]:
    """Moments by method; with a posterior of the weights, mixed over its draws (equation 10).

    The draws of the latents are shared out among the draws of the weights, so that the sampling
    method costs about the same with and without; the Taylor method costs once for each.
    """
    methods = {"both": ("taylor", "sampling"), "none": ()}.get(propagate, (propagate,))
    posterior = model.weights if num_weights else None
    if posterior is None:
        return _by_method(latents, ("none", *methods), num_samples, seed, model)
    moments = _by_method(latents, ("none",), num_samples, seed, model)
    if not methods:
        return moments
    draws = posterior.to(model.space.like).draws(num_weights, seed)
    each = max(2, -(-num_samples // len(draws)))
    seeds = _other_seeds(len(draws), seed)
    under = [
        with_weights(model, weights, partial(_by_method, latents, methods, each, s))
        for weights, s in zip(draws, seeds, strict=True)
    ]
    return moments | {method: mixture([m[method] for m in under]) for method in methods}


def _other_seeds(num: int, seed: int) -> list[int]:
    """Seeds for the latents that are none of the weights' own: the noises must not be the same."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(2**62, (2, num), generator=generator)[1].tolist()


def _by_method(
    latents: Latents, methods: tuple[str, ...], num_samples: int, seed: int, model: "SURE"
) -> dict[str, Moments]:
    """Moments by method under the weights that the model has now."""
    visible = latents.available
    mean, variance = model.propagation_problem(
        latents, visible, model.reconstruct(latents, visible)
    )
    moments = {}
    if "none" in methods:
        moments["none"] = model._point(mean)
    if "taylor" in methods:
        moments["taylor"] = taylor(model._in_units, mean, variance)
    if "sampling" in methods:
        moments["sampling"] = sampling(
            model._in_units_and_probabilities, mean, variance, num_samples=num_samples, seed=seed
        )
    return moments
