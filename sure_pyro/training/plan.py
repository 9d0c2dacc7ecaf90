"""The plan of a fit: which phases are run, how each is trained, by which objective.

Everything that can be refused is refused here, before anything is built.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sure_pyro.data.store import LatentStore
from sure_pyro.guides import WeightGuide
from sure_pyro.models import SURE
from sure_pyro.objectives import CorrelationELBO, preset
from sure_pyro.objectives.presets import DEFAULT, FAITHFUL, Handler, Unchanged
from sure_pyro.training.settings import Settings
from sure_pyro.training.steps import (
    AmortisedStep,
    HeadStep,
    JointStep,
    LocationStep,
    ReconstructionStep,
    ScaleStep,
    Step,
)

PHASES: dict[str, type[Step]] = {
    step.name: step
    for step in (ReconstructionStep, LocationStep, ScaleStep, HeadStep, JointStep, AmortisedStep)
}
DEFAULTS = {
    "reconstruction": Settings(epochs=150, lr=2e-3, batch_size=64),
    "location": Settings(epochs=150, lr=2e-3, batch_size=64),
    "scale": Settings(epochs=100, lr=2e-3, batch_size=64),
    "head": Settings(epochs=40, lr=1e-3, patience=10),
    "joint": Settings(epochs=150, lr=2e-3, batch_size=64),
    "joint/amortised": Settings(epochs=150, lr=2e-3, batch_size=64),
}
STEPS = {"location": 1500, "scale": 500, "head": 400}
"""Optimiser steps of a phase under ``"default"``, whatever the number of rows."""
SMALLEST_BATCH, LARGEST_BATCH = 32, 256
HALVES = ("location", "scale")
UNSUPERVISED = {"reconstruction", *HALVES}  # phases that need no targets

Objective = str | CorrelationELBO | tuple[CorrelationELBO, Handler]
Wanted = TypeVar("Wanted")


@dataclass(frozen=True)
class Plan:
    """What is asked of a fit.

    Attributes
    ----------
    objective : str, CorrelationELBO, or both a CorrelationELBO and an effect handler
    weight : float or None
        Lambda, for the presets.
    phases : tuple of str
        As they were asked for.
    guide : WeightGuide or None
    changes : dict
        Settings instead of the defaults of each phase.
    """

    objective: Objective
    weight: float | None
    phases: tuple[str, ...]
    guide: WeightGuide | None
    changes: dict[str, Any]

    def check(self, model: SURE, train: Any) -> None:
        """Refuse phases and guides that can not be run.

        Raises
        ------
        ValueError
            If a phase is unknown, none is named, the model of a guide alone is not fitted, or the
            rows of a guide lie on disk.
        """
        if self.guide is not None and isinstance(train, LatentStore):
            raise ValueError(
                "A `guide` needs its rows in memory: fit the phases on the store, and then the "
                "guide on some of its rows, `sp.fit(model, store.batch(rows), phases=(), "
                "guide=...)`."
            )
        unknown = [phase for phase in self.phases if phase not in PHASES]
        if unknown or not (self.phases or self.guide):
            raise ValueError(
                f"`phases` must name phases of {list(PHASES)}; got {tuple(self.phases)}."
            )
        if not self.phases and not model.initialized:
            raise ValueError(
                "`phases=()` fits the guide alone, on a fitted model; this one is not."
            )

    @property
    def faithful(self) -> bool:
        """Whether locations learn from the squared error alone, in networks of their own."""
        name = self.objective if isinstance(self.objective, str) else ""
        return name == DEFAULT or name.startswith(FAITHFUL)

    @property
    def reconstructor(self) -> str:
        """The reconstructor that goes with the objective."""
        return "stacked" if self.objective == DEFAULT else "masked"

    @property
    def supervised(self) -> bool:
        """Whether targets are looked at."""
        in_guide = self.guide is not None and "head" in self.guide.over
        return in_guide or not set(self.phases) <= UNSUPERVISED

    def make_objective(self) -> tuple[CorrelationELBO, Handler]:
        """Objective and effect handler of a phase; a preset is made anew for each."""
        if isinstance(self.objective, tuple):
            return self.objective
        if isinstance(self.objective, CorrelationELBO):
            return self.objective, Unchanged
        return preset(self.objective, self.weight)

    def phases_for(self, model: SURE) -> tuple[str, ...]:
        """Phases that are run on an initialised model, in order.

        Raises
        ------
        ValueError
            If the reconstructor has not what the phases or the guide train.
        """
        phases = self.phases
        if self.faithful:
            halves = {"reconstruction": HALVES}
            phases = tuple(p for phase in phases for p in halves.get(phase, (phase,)))
        if not model.reconstructor.trained:
            _check_guide_of_closed_form(model, self.guide)
            phases = tuple(phase for phase in phases if phase not in UNSUPERVISED)
        if set(HALVES) & set(phases) and not model.reconstructor.halves:
            raise ValueError(
                f"The objective {self.objective!r} trains location and scale in networks of their "
                f"own, and the {model.settings['reconstructor']!r} reconstructor of this model has "
                "one for both: build the model anew with `SURE(..., separate_scale=True)`, or take "
                "an objective without halves, such as 'elbo+pcc'."
            )
        return phases

    def settings_of(self, phases: tuple[str, ...], num_rows: int) -> dict[str, Settings]:
        """How each phase is trained."""
        usual = {phase: DEFAULTS[phase] for phase in phases}
        if self.objective == DEFAULT:
            usual |= {p: budgeted(usual[p], STEPS[p], num_rows) for p in phases if p in STEPS}
        return {phase: replace(settings, **self.changes) for phase, settings in usual.items()}


def budgeted(settings: Settings, steps: int, num_rows: int) -> Settings:
    """As many epochs as make about `steps` steps, of batches that follow the number of rows.

    A batch is an eighth of the rows, between `SMALLEST_BATCH` and `LARGEST_BATCH`, a power of two:
    few rows are seen often, and many rows cost no more than few.
    """
    batch = min(max(2 ** int(math.log2(max(num_rows / 8, 1))), SMALLEST_BATCH), LARGEST_BATCH)
    per_epoch = -(-num_rows // batch)
    return replace(settings, batch_size=batch, epochs=max(1, -(-steps // per_epoch)))


def given(**changes: Wanted | None) -> dict[str, Wanted]:
    """The keywords that are not None."""
    return {key: value for key, value in changes.items() if value is not None}


def _check_guide_of_closed_form(model: SURE, guide: WeightGuide | None) -> None:
    if guide is not None and "reconstructor" in guide.over:
        raise ValueError(
            f"The {model.settings['reconstructor']!r} reconstructor is a closed form without "
            'trained weights: learn a guide over the head alone, `over=("head",)`.'
        )
