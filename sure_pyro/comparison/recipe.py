"""What is compared: a recipe for a model, a filling of the gaps, a builder, or a fitted model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sure_pyro.identity import Settings, identity
from sure_pyro.models.parts import RECONSTRUCTORS
from sure_pyro.objectives import preset

DEFAULT_OBJECTIVE = "elbo+pcc"
GUIDES = ("map", "mean-field", "low-rank", "laplace", "dropout", "ensemble", "swag")
FILLINGS = ("zero", "mean")


@dataclass(frozen=True)
class Recipe:
    """How one model is made: everything but the data and the seed.

    Parameters
    ----------
    objective : str
        Of `sure_pyro.fit`.
    guide : str, optional
        Of the weights; ``"laplace"`` and so on. The point estimate below it is fitted once for all
        recipes that differ in the guide only.
    guide_options : mapping
        Of the guide, such as ``{"over": ("head",)}``.
    reconstructor : str, optional
        Of `SURE`; by default the one that goes with the objective.
    model : mapping
        Further keywords of `SURE`, such as ``{"reconstructor_options": {"width": 64}}``.
    fit : mapping
        Further keywords of `sure_pyro.fit`, such as ``{"epochs": 20, "weight": 0.5}``.
    predict : mapping
        Keywords of `SURE.predict`.
    prepare : Callable, optional
        ``(train, seed) -> train``: changes the training rows of this recipe alone.
    finish : Callable, optional
        ``(model, train, validation, seed) -> model``: what is done to the fitted model, such as
        recalibrating it on the validation rows. The result needs the same `predict`.

    Raises
    ------
    ValueError
        If there is no objective or guide of that name.
    """

    objective: str = DEFAULT_OBJECTIVE
    guide: str | None = None
    guide_options: Mapping[str, Any] = field(default_factory=dict)
    reconstructor: str | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    predict: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable | None = None
    finish: Callable | None = None

    def __post_init__(self):
        preset(self.objective)  # raises where there is none of that name
        if self.guide is not None and self.guide not in GUIDES:
            raise ValueError(f"`guide` must be one of {list(GUIDES)}; got {self.guide!r}.")

    def point(self) -> Recipe:
        """The recipe of the point estimate that a guide stands on."""
        return replace(self, guide=None, guide_options={}, predict={}, finish=None)

    def settings(self) -> Settings:
        """Everything that tells this recipe from another, for JSON."""
        return {"recipe": identity(self.__dict__)}


@dataclass(frozen=True)
class Filling:
    """A baseline: the pretrained model with its gaps filled by ``"zero"`` or by the ``"mean"``.

    It is taken where the backbone has outputs of its own (`Backbone.readout`).
    """

    fill: str = "zero"

    def __post_init__(self):
        if self.fill not in FILLINGS:
            raise ValueError(f"`fill` must be one of {list(FILLINGS)}; got {self.fill!r}.")

    def settings(self) -> Settings:
        """See `Recipe.settings`."""
        return {"filling": self.fill}


@dataclass(frozen=True)
class Built:
    """A model that a function of yours builds and fits.

    Parameters
    ----------
    build : Callable
        ``(train, validation, *, backbone, seed) -> model``. `backbone` is a frozen copy of the
        pretrained one, to be used or not. The model needs the `predict` of `SURE`.
    predict : mapping
        Keywords of its `predict`.
    """

    build: Callable
    predict: Mapping[str, Any] = field(default_factory=dict)

    def settings(self) -> Settings:
        """See `Recipe.settings`."""
        return {"build": identity(self.build), "predict": identity(self.predict)}


@dataclass(frozen=True, eq=False)
class Fitted:
    """A model that is fitted already, one for all seeds or one for each.

    Parameters
    ----------
    model : SURE or mapping of int to SURE
    predict : mapping
        Keywords of its `predict`.
    """

    model: Any
    predict: Mapping[str, Any] = field(default_factory=dict)

    def of_seed(self, seed: int) -> Any:
        """Model of a seed.

        Raises
        ------
        ValueError
            If the mapping has none.
        """
        if not isinstance(self.model, Mapping):
            return self.model
        if seed not in self.model:
            raise ValueError(f"There is no fitted model of seed {seed}, only {list(self.model)}.")
        return self.model[seed]


Spec = Recipe | Filling | Built | Fitted


def resolve(models: Any) -> dict[str, Spec]:
    """Names and specifications of what is compared.

    Parameters
    ----------
    models : str, sequence or mapping
        ``"sure,laplace"``, a sequence of names, or a mapping of names of your choice to names,
        `Recipe`, `Filling`, `Built`, functions as in `Built`, or fitted models.

    Raises
    ------
    ValueError
        If there is no model, or a name is unknown.
    """
    if isinstance(models, str):
        models = [name.strip() for name in models.split(",") if name.strip()]
    named = models if isinstance(models, Mapping) else _named(models)
    if not named:
        raise ValueError("`models` is empty: name at least one, such as 'elbo+pcc'.")
    return {str(name): _spec(given) for name, given in named.items()}


def recipe(name: str) -> Recipe | Filling:
    """Look up a recipe by name.

    Parameters
    ----------
    name : str
        An objective (``"sure"``, ``"faithful:elbo+pcc"``), a guide (``"laplace"``: the default
        objective with that guide), both (``"elbo/laplace"``), a reconstructor (``"gaussian"``,
        the closed form, with the default objective for the head), or a filling (``"zero"``).

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if name in FILLINGS:
        return Filling(name)
    if name in RECONSTRUCTORS:
        return Recipe(reconstructor=name)
    alone = ("", name) if name in GUIDES else (name, "")
    objective, guide = name.rsplit("/", 1) if "/" in name else alone
    try:
        return Recipe(objective or DEFAULT_OBJECTIVE, guide or None)
    except ValueError as error:
        raise ValueError(
            f"There is no model {name!r}. Name an objective, a guide of {list(GUIDES)}, both as "
            f"'elbo/laplace', a reconstructor of {list(RECONSTRUCTORS)}, or a filling of "
            f"{list(FILLINGS)}. {error}"
        ) from error


def _named(models: Any) -> dict[str, Any]:
    if not isinstance(models, Sequence) or not all(isinstance(m, str) for m in models):
        raise ValueError(
            "`models` must be names, or a mapping of names to recipes, functions or fitted "
            f"models; got {models!r}."
        )
    return {name: name for name in models}


def _spec(given: Any) -> Spec:
    if isinstance(given, Spec):
        return given
    if isinstance(given, str):
        return recipe(given)
    if isinstance(given, Mapping) or hasattr(given, "predict"):
        return Fitted(given)
    if callable(given):
        return Built(given)
    raise ValueError(
        "A model must be a name, a Recipe, a Filling, a function that builds one, or fitted; "
        f"got {type(given).__name__}."
    )
