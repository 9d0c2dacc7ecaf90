"""The weights seam: what SURE needs from a posterior of its trained weights, in one method.

Whatever can draw a set of parameters by a seed can be carried to the prediction as the source
``"weights"`` (equations 8 and 10). `sure_pyro.guides` holds the posteriors; this room only knows
how to put a draw into the model, and how to find the class of a posterior that comes from a file.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, cast

import torch
from torch import Tensor, nn

from sure_pyro.backbones.cut.share import shared_copy

WEIGHT_POSTERIORS: dict[str, type["WeightPosterior"]] = {}
"""Classes by name, entered when they are defined: how `SURE.load` finds them."""

Result = TypeVar("Result")
Model = TypeVar("Model", bound=nn.Module)


class WeightPosterior(ABC):
    """A distribution of named parameters of a model.

    Attributes
    ----------
    kind : str
        Name of the class in files and arguments.
    """

    kind: ClassVar[str]

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "kind" in cls.__dict__:
            WEIGHT_POSTERIORS[cls.kind] = cls

    @abstractmethod
    def sample(self, seed: int) -> dict[str, Tensor]:
        """Draw parameters by their names in the model; the same seed gives the same draw."""

    def draws(self, num: int, seed: int) -> list[dict[str, Tensor]]:
        """Draw `num` sets of parameters (a posterior with few atoms may give those instead)."""
        generator = torch.Generator().manual_seed(seed)
        seeds = torch.randint(2**62, (num,), generator=generator).tolist()
        return [self.sample(s) for s in seeds]

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """What was learnt, for the weights file."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Everything else, for the settings file: JSON."""

    @classmethod
    @abstractmethod
    def restore(cls, config: dict[str, Any], tensors: Mapping[str, Tensor]) -> "WeightPosterior":
        """Rebuild what `config` and `tensors` describe; draws are the same, bit for bit."""

    @abstractmethod
    def to(self, like: Tensor) -> "WeightPosterior":
        """Move to the device and dtype of a tensor, in place."""


def with_weights(
    model: Model, weights: Mapping[str, Tensor], run: Callable[[Model], Result]
) -> Result:
    """Run something on a model that has other parameters.

    Parameters
    ----------
    model : nn.Module
        Left as it is, so that other threads may use it meanwhile.
    weights : dict of Tensor
        By parameter name; gradients flow into them.
    run : callable
        Of the model.
    """
    return run(cast(Model, shared_copy(model, tensors=weights)))
