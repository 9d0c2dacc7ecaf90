"""Which jobs a comparison needs: what is finished is read, what is shared is done once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sure_pyro.backbones import Backbone
from sure_pyro.comparison.cell import Protocol, fit_point, make_backbone, run_cell
from sure_pyro.comparison.data import Cut, Rows, rows
from sure_pyro.comparison.jobs import Job
from sure_pyro.comparison.recipe import Built, Fitted, Recipe, Spec
from sure_pyro.comparison.store import FORMAT, Store
from sure_pyro.data.store import LatentStore
from sure_pyro.identity import Settings, digest, identity

POINT, BACKBONE, CELL = 10.0, 1.0, 0.5
GUIDES = {"ensemble": 20.0, "swag": 10.0, "mean-field": 10.0, "low-rank": 10.0}
"""About what jobs cost beside each other (digits): long ones start first."""

Names = tuple[str, str, int]
"""A cell: data, model, seed."""


@dataclass(eq=False)
class Plan:
    """Jobs in an order in which they can run, and the cells that were finished before.

    Parameters
    ----------
    store : Store
    protocol : Protocol
    backbone : str, Callable or Backbone
    pretraining : mapping
        Options of `pretrain`.
    """

    store: Store
    protocol: Protocol
    backbone: Any
    pretraining: Mapping[str, Any]
    jobs: dict[str, Job] = field(default_factory=dict)
    cells: dict[str, tuple[Names, Settings]] = field(default_factory=dict)
    finished: dict[Names, dict[str, Any]] = field(default_factory=dict)
    backbones: dict[str, tuple[Settings, Rows]] = field(default_factory=dict)

    def add(self, data: Mapping[str, Cut], models: Mapping[str, Spec], seeds: Sequence[int]):
        """Plan every cell of datasets, models and seeds."""
        for name, cut in data.items():
            for seed in seeds:
                parts = rows(cut, name, seed)
                for model, spec in models.items():
                    self._add_cell((name, model, seed), spec, parts)
        return self

    def _add_cell(self, names: Names, spec: Spec, parts: Rows) -> None:
        seed = names[2]
        base = {"format": FORMAT, "rows": parts.identity, "seed": seed}
        if isinstance(spec, Fitted):
            model = spec.of_seed(seed)
            settings = {
                **base,
                **self.protocol.settings(),
                "fitted": identity(model),
                "own predict": identity(spec.predict),
            }
        else:
            below = {
                **base,
                "backbone": identity(self.backbone),
                "pretraining": identity(self.pretraining),
            }
            settings = {**below, **self.protocol.settings(), **spec.settings()}
        record = self.store.read_cell(names, settings)
        if record is not None:
            self.finished[names] = record
            return
        needs = () if isinstance(spec, Fitted) else self._below(spec, parts, seed, below)
        key = "cell " + digest([list(names), settings])
        self.cells[key] = names, settings

        def arguments(results: dict[str, Any]) -> tuple:
            backbone = results[needs[0]] if needs else None
            point = results[needs[1]] if len(needs) > 1 else None
            return spec, parts, seed, backbone, point, self.protocol

        self.jobs[key] = Job(
            key, run_cell, arguments, needs, here=isinstance(spec, Fitted), cost=_cost(spec)
        )

    def _below(self, spec: Spec, parts: Rows, seed: int, below: Settings) -> tuple[str, ...]:
        """Jobs of the backbone and of the point estimate, added where they are not there yet."""
        first = self._backbone_job(parts, seed, below)
        if not isinstance(spec, Recipe):
            return (first,)
        recipe = spec.point()
        settings = {**below, **recipe.settings()}
        folder = self.store.point(settings)
        key = "point " + digest(settings)
        if key not in self.jobs:

            def arguments(results: dict[str, Any]) -> tuple:
                return recipe, parts, seed, results[first], folder

            done = folder.exists()
            self.jobs[key] = (
                Job(key, _same, lambda _: (folder,), here=True)
                if done
                else Job(key, fit_point, arguments, (first,), cost=POINT)
            )
        return first, key

    def _backbone_job(self, parts: Rows, seed: int, below: Settings) -> str:
        key = "backbone " + digest(below)
        if key in self.jobs:
            return key
        if isinstance(parts.train, LatentStore) and not callable(self.backbone):
            raise ValueError(
                "A store holds latents, which only the network that made them can fuse: give it "
                f"as `backbone=`; got {self.backbone!r}."
            )
        known = self.backbone if isinstance(self.backbone, Backbone) else None
        known = known or self.store.read_backbone(below)
        if known is not None:
            self.jobs[key] = Job(key, _same, lambda _: (known,), here=True)
        else:
            made = (self.backbone, parts, seed, self.pretraining)
            self.jobs[key] = Job(key, make_backbone, lambda _: made, cost=BACKBONE)
            self.backbones[key] = below, parts
        return key


def with_defaults(spec: Spec, fit: Mapping[str, Any]) -> Spec:
    """A recipe with keywords of `fit` that it does not set itself; others are left alone."""
    if not isinstance(spec, Recipe):
        return spec
    return replace(spec, fit={**fit, **spec.fit})


def _cost(spec: Spec) -> float:
    if isinstance(spec, Built):
        return POINT
    return GUIDES.get(str(spec.guide), CELL) if isinstance(spec, Recipe) else CELL


def _same(value: Any) -> Any:
    return value
