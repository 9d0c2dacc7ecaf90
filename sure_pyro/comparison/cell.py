"""The work of a comparison, in three kinds of jobs: a backbone, a point estimate, a cell.

A backbone is pretrained once for each dataset and seed. A point estimate is fitted once for all
recipes that differ in what follows it, and kept on disk. A cell is one model and seed: it adds
what follows the point estimate (a guide over the weights, recalibration) and is scored.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sure_pyro.backbones import Backbone, MLPBackbone, TransformerBackbone, pretrain
from sure_pyro.backbones.small import SmallBackbone
from sure_pyro.comparison.data import Rows
from sure_pyro.comparison.recipe import Built, Filling, Fitted, Recipe, Spec
from sure_pyro.data import Batch
from sure_pyro.data.classes import aligned
from sure_pyro.data.masked_rows import MaskedRows, draw_masks
from sure_pyro.evaluation import evaluate, named_masks
from sure_pyro.evaluation.masks import Mask
from sure_pyro.evaluation.table import Evaluation, evaluate_filling
from sure_pyro.files import folder_replacing
from sure_pyro.guides import weight_guide
from sure_pyro.identity import Settings, identity
from sure_pyro.models import SURE
from sure_pyro.training import History, fit

BACKBONES: dict[str, type[SmallBackbone]] = {"mlp": MLPBackbone, "transformer": TransformerBackbone}


@dataclass(frozen=True)
class Protocol:
    """How models are scored: the same for all.

    Parameters
    ----------
    masks : mapping of str to Callable, optional
        See `named_masks`; by default every row under a random mask of every size.
    predict : mapping
        Keywords of `predict`, unless a model brings its own.
    """

    masks: Mapping[str, Mask] | None = None
    predict: Mapping[str, Any] = field(default_factory=dict)

    def draw(self, rows: Rows, seed: int) -> MaskedRows:
        """Masks of the test rows for a seed."""
        if self.masks is None:
            return draw_masks(rows.test, seed)
        return named_masks(rows.test, self.masks, seed)

    def settings(self) -> Settings:
        """See `Recipe.settings`."""
        return {"masks": identity(self.masks), "predict": identity(self.predict)}


def make_backbone(
    how: str | Callable, rows: Rows, seed: int, options: Mapping[str, Any]
) -> Backbone:
    """Pretrain a small backbone on complete rows, or call a function for one; frozen.

    Parameters
    ----------
    how : {"mlp", "transformer"} or Callable
        ``(train, validation, seed) -> Backbone``.
    rows : Rows
    seed : int
    options : mapping
        Of `pretrain`.
    """
    if callable(how):
        return how(rows.train, rows.validation, seed).freeze()
    train = rows.train
    assert isinstance(train, Batch)  # a plan refuses a store, which holds no features
    backbone = BACKBONES[how].for_data(train, seed=seed)
    pretrain(backbone, train, rows.validation, seed=seed, progress_bar=False, **options)
    return backbone


def fit_point(recipe: Recipe, rows: Rows, seed: int, backbone: Backbone, folder: Path) -> Path:
    """Fit the point estimate of a recipe and write it to a folder."""
    train = rows.train if recipe.prepare is None else recipe.prepare(rows.train, seed)
    model = SURE(backbone, recipe.reconstructor, **recipe.model)
    start = time.perf_counter()
    history = fit(
        model, train, rows.validation, recipe.objective, seed=seed, progress_bar=False, **recipe.fit
    )
    seconds = time.perf_counter() - start
    _stop_if_interrupted(history)
    with folder_replacing(folder) as temporary:
        model.save(temporary)
        about = {"seconds": seconds, "history": history.records, "best": history.best}
        (temporary / "fit.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


def run_cell(
    spec: Spec,
    rows: Rows,
    seed: int,
    backbone: Backbone | None,
    point: Path | None,
    protocol: Protocol,
) -> dict[str, Any]:
    """Make the model of a cell and score it.

    Parameters
    ----------
    spec : Recipe, Filling, Built or Fitted
    rows : Rows
    seed : int
    backbone : Backbone, optional
        Not needed for a fitted model.
    point : Path, optional
        Folder of the point estimate of a recipe.
    protocol : Protocol

    Returns
    -------
    dict
        ``lines`` of `sure_pyro.evaluation.score`, ``costs``, and ``history`` where there is one.
    """
    start = time.perf_counter()
    model, before = _make(spec, rows, seed, backbone, point)
    seconds = time.perf_counter() - start
    masked = _numbered_as(model, protocol.draw(rows, seed))
    found = _evaluate(spec, model, masked, protocol, seed)
    costs = {
        "fit_seconds": before.get("seconds", 0.0) + (0.0 if isinstance(spec, Fitted) else seconds),
        "predict_seconds": found.seconds,
        "parameters": _trained_numbers(spec, model),
    }
    lines = found.table.to_dict("records")
    return {"lines": lines, "costs": costs, "history": before.get("history", [])}


def _make(
    spec: Spec, rows: Rows, seed: int, backbone: Backbone | None, point: Path | None
) -> tuple[Any, dict[str, Any]]:
    """Model of a cell, and what is known of the fit of its point estimate."""
    if isinstance(spec, Fitted):
        return spec.of_seed(seed), {}
    assert backbone is not None
    own = copy.deepcopy(backbone)  # a builder may go on training it
    if isinstance(spec, Built):
        return spec.build(rows.train, rows.validation, backbone=own, seed=seed), {}
    if isinstance(spec, Filling):
        return SURE(own).initialize(rows.train), {}
    assert point is not None
    model = SURE.load(point, own)
    before = json.loads((point / "fit.json").read_text(encoding="utf-8"))
    return _after_point(spec, model, rows, seed), before


def _after_point(recipe: Recipe, model: SURE, rows: Rows, seed: int) -> Any:
    """Guide and finish of a recipe, on its point estimate."""
    train = rows.train if recipe.prepare is None else recipe.prepare(rows.train, seed)
    if recipe.guide not in (None, "map"):
        options = {key: value for key, value in recipe.fit.items() if key != "phases"}
        history = fit_guide(model, train, rows.validation, recipe, seed, options)
        _stop_if_interrupted(history)
    if recipe.finish is not None:
        return recipe.finish(model, train, rows.validation, seed)
    return model


def fit_guide(model: SURE, train, validation, recipe: Recipe, seed: int, options) -> History:
    """Fit the guide of a recipe over the weights of a fitted model."""
    assert recipe.guide is not None
    return fit(
        model,
        train,
        validation,
        recipe.objective,
        phases=(),
        guide=weight_guide(recipe.guide, **recipe.guide_options),
        seed=seed,
        progress_bar=False,
        **options,
    )


def _numbered_as(model: Any, masked: MaskedRows) -> MaskedRows:
    """Masked rows with their classes numbered as a model that was fitted elsewhere numbers them."""
    if getattr(model, "class_names", None) is None:
        return masked
    batch, complete = (
        aligned(
            b,
            task=str(b.task),
            outputs=len(model.class_names),
            names=model.class_names,
            argument="test",
        )
        for b in (masked.batch, masked.complete)
    )
    return replace(masked, batch=batch, complete=complete)


def _evaluate(
    spec: Spec, model: Any, masked: MaskedRows, protocol: Protocol, seed: int
) -> Evaluation:
    if isinstance(spec, Filling):
        return evaluate_filling(model, masked, spec.fill)
    return evaluate(model, masked, seed, **{"seed": seed, **protocol.predict, **spec.predict})


def _trained_numbers(spec: Spec, model: Any) -> float:
    """How many numbers were trained: of the model, and of the posterior of its weights."""
    if isinstance(spec, Filling) or not hasattr(model, "parameters"):
        return 0.0 if isinstance(spec, Filling) else float("nan")
    own = sum(p.numel() for p in model.parameters() if p.requires_grad)
    guide = getattr(model, "weights", None)
    return float(own + (sum(t.numel() for t in guide.tensors().values()) if guide else 0))


def _stop_if_interrupted(history: History) -> None:
    if history.interrupted:  # `fit` keeps the best weights so far; a cell is whole or not at all
        raise KeyboardInterrupt
