"""The trainable parts of SURE by name: reconstructors (equation 2) and heads (equation 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sure_pyro.models.gaussian import GaussianReconstructor
from sure_pyro.models.heads import HEADS, Head
from sure_pyro.models.masked import MaskedReconstructor
from sure_pyro.models.pairwise import PairwiseReconstructor
from sure_pyro.models.reconstructor import Reconstructor
from sure_pyro.models.separate import SeparateScale
from sure_pyro.models.stacked import StackedReconstructor

RECONSTRUCTORS: dict[str, type[Reconstructor]] = {
    "masked": MaskedReconstructor,
    "pairwise": PairwiseReconstructor,
    "gaussian": GaussianReconstructor,
    "stacked": StackedReconstructor,
}
HEAD_OF_TASK = {
    "classification": "categorical",
    "regression": "gaussian",
    "multilabel": "multilabel",
}


def make_reconstructor(
    settings: Mapping[str, Any], shapes: Mapping[str, tuple[int, int]]
) -> Reconstructor:
    """Build the reconstructor that the settings of a `SURE` name, for latents of these shapes."""
    kind, options = RECONSTRUCTORS[settings["reconstructor"]], settings["reconstructor_options"]
    if settings["separate_scale"] and kind.trained and not kind.halves:
        return SeparateScale(shapes, kind, **options)
    return kind(shapes, **options)


def make_head(settings: Mapping[str, Any], width: int, num_outputs: int) -> Head:
    """Build the head that the settings of a `SURE` name."""
    return HEADS[settings["head"]](width, num_outputs)


def head_for(task: str, name: str | None) -> str:
    """Name of the head for a task; by default the one that fits.

    Raises
    ------
    ValueError
        If `name` is one for classes and the task is another, or the reverse.
    """
    fitting = HEAD_OF_TASK[task]
    if name is not None and (name == "categorical") != (task == "classification"):
        raise ValueError(f"head={name!r} does not fit the task {task!r}: use {fitting!r}.")
    return name or fitting


def check_choice(argument: str, value: str, choices) -> None:
    """Refuse a name that is none of the choices."""
    if value not in choices:
        raise ValueError(f"`{argument}` must be one of {list(choices)}; got {value!r}.")
