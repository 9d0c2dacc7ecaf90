"""What every guide over weights is: a draw of named parameters by a seed, and how it is stored."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sure_pyro.models.weights import WEIGHT_POSTERIORS, WeightPosterior

PARTS = ("reconstructor", "head")


class WeightGuide(WeightPosterior):
    """Approximate posterior of the trained weights: the base of the guides over weights.

    A guide learns one *part* (a set of parameters) at a time from a `WeightProgram`, and then draws
    all of them together. What it has learnt is a dictionary of tensors, so it is saved without
    pickle, and no guide needs Pyro's global parameter store.

    Parameters
    ----------
    over : tuple of {"reconstructor", "head"}
        The parts of a `SURE` that are uncertain.
    prior_scale : float, optional
        As in `WeightProgram`.

    Attributes
    ----------
    learnt : dict of str to dict of str to Tensor
        By part.

    Raises
    ------
    ValueError
        If `over` names something else, or nothing.
    """

    def __init__(self, over: tuple[str, ...] = ("head",), prior_scale: float | None = None):
        if not over or any(part not in PARTS for part in over):
            raise ValueError(f"`over` must name parts of {list(PARTS)}; got {over}.")
        self.over = tuple(part for part in PARTS if part in over)
        self.prior_scale = prior_scale
        self.learnt: dict[str, dict[str, Tensor]] = {}

    def sample(self, seed: int) -> dict[str, Tensor]:
        """Draw the parameters of all parts by their names; same seed, same draw, bit for bit.

        Raises
        ------
        ValueError
            If the guide is not fitted.
        """
        self._require_fitted()
        generator = torch.Generator(self._device).manual_seed(seed)
        weights: dict[str, Tensor] = {}
        for part in self.learnt:
            weights |= self._draw(part, generator)
        return weights

    def _draw(self, part: str, generator: torch.Generator) -> dict[str, Tensor]:
        raise NotImplementedError

    def _require_fitted(self) -> None:
        if not self.learnt:
            raise ValueError(
                f"The guide {self.kind!r} has learnt nothing yet: fit it with "
                "`sp.fit(model, ..., guide=...)` or `fit_weights`."
            )

    @property
    def _device(self) -> torch.device:
        return next(iter(next(iter(self.learnt.values())).values())).device

    def to(self, like: Tensor) -> "WeightGuide":
        """See `WeightPosterior.to`; integers keep their type."""
        self.learnt = {
            part: {
                key: t.to(device=like.device, dtype=like.dtype if t.is_floating_point() else None)
                for key, t in tensors.items()
            }
            for part, tensors in self.learnt.items()
        }
        return self

    def options(self) -> dict[str, Any]:
        """Arguments of the constructor, by name."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names}

    def tensors(self) -> dict[str, Tensor]:
        """See `WeightPosterior.tensors`: named ``part/key``."""
        return {
            f"{part}/{key}": tensor
            for part, tensors in self.learnt.items()
            for key, tensor in tensors.items()
        }

    def config(self) -> dict[str, Any]:
        """See `WeightPosterior.config`; a tensor file forgets the order of its tensors."""
        order = {part: list(tensors) for part, tensors in self.learnt.items()}
        return {"kind": self.kind, "options": self.options(), "order": order}

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> "WeightGuide":
        """See `WeightPosterior.restore`."""
        guide = cls(**{**config["options"], "over": tuple(config["options"]["over"])})
        for part, keys in config["order"].items():
            # Copied, so that they are aligned as when they were learnt: products are then the same
            # to the last bit, which those of a tensor in the middle of a file are not.
            guide.learnt[part] = {key: tensors[f"{part}/{key}"].clone() for key in keys}
        return guide

    def __repr__(self) -> str:
        options = ", ".join(f"{k}={v!r}" for k, v in self.options().items())
        return f"{type(self).__name__}({options}){'' if self.learnt else ': not fitted yet'}"


def weight_guide(kind: str, **options) -> WeightGuide:
    """Make a guide over weights by name.

    Parameters
    ----------
    kind : {"map", "mean-field", "low-rank", "laplace", "dropout", "ensemble", "swag"}
    **options
        Of its class, such as ``over=("head", "reconstructor")``.

    Raises
    ------
    ValueError
        If there is no guide of that name.
    """
    if kind not in WEIGHT_POSTERIORS:
        raise ValueError(f"`guide` must be one of {list(WEIGHT_POSTERIORS)}; got {kind!r}.")
    return WEIGHT_POSTERIORS[kind](**options)  # type: ignore[return-value]
