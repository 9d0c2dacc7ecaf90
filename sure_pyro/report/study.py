"""What a report does: data, backbone, one fit for each objective, evaluation."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sure_pyro.backbones import MLPBackbone, pretrain
from sure_pyro.data import Batch, load, load_npz, resolve_partial
from sure_pyro.data.masked_rows import MaskedRows, draw_masks
from sure_pyro.evaluation.hidden import hidden_latents
from sure_pyro.evaluation.pairs import Pairs
from sure_pyro.evaluation.slices import RANDOM, hidden_slices
from sure_pyro.models import SURE
from sure_pyro.report.evidence import Evidence, Slice
from sure_pyro.report.measure import Outcome, measure, observe
from sure_pyro.report.objectives import compare_objectives
from sure_pyro.report.reconstruction import (
    best_case,
    measure_reconstructability,
)
from sure_pyro.training import History, fit

MAIN = "elbo+pcc"
OBJECTIVES = ("sure", "elbo", MAIN)


@dataclass(frozen=True)
class Settings:
    """What a report is asked to do.

    Parameters
    ----------
    data : Path or None
        A file in the canonical form; the embedded digits if None.
    seed : int
        Of split, weights, training, masks and draws.
    epochs : int or None
        Of each phase, instead of the defaults.
    objectives : tuple of str
        The last one that is ``"elbo+pcc"``, or else the last, is the one reported on.
    num_samples : int
        Of sampling.
    quiet : bool
        No progress bars.
    """

    data: Path | None = None
    seed: int = 0
    epochs: int | None = None
    objectives: tuple[str, ...] = OBJECTIVES
    num_samples: int = 1000
    quiet: bool = False

    @property
    def main(self) -> str:
        """The objective whose model is reported on."""
        return MAIN if MAIN in self.objectives else self.objectives[-1]


@dataclass(frozen=True, eq=False)
class Parts:
    """Training, validation and test rows, and what was done to the data."""

    name: str
    train: Batch
    validation: Batch
    test: Batch
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class Fitted:
    """One model, how it was trained, and how long that took."""

    model: SURE
    history: History
    seconds: float


@dataclass(frozen=True, eq=False)
class Study:
    """Everything that a report shows."""

    settings: Settings
    parts: Parts
    models: Mapping[str, Fitted]
    masked: MaskedRows
    outcome: Outcome
    slices: Mapping[str, Slice]
    evidence: Evidence


def load_parts(settings: Settings) -> Parts:
    """Read the data, settle what is recorded in parts, and cut it."""
    name = "digits" if settings.data is None else settings.data.stem
    data = load("digits") if settings.data is None else load_npz(settings.data)
    if data.target is None:
        raise ValueError(f"{settings.data} has no targets ('y'): there is no task to report on.")
    if len(data.modalities) < 2:
        raise ValueError(
            f"A report needs at least two modalities; {settings.data} has {data.modalities}."
        )
    settled = resolve_partial(data, "absent")
    train, validation, test = settled.split(seed=settings.seed)
    return Parts(name, train, validation, test, tuple(_notes(data, settled)))


def _notes(data: Batch, settled: Batch):
    for i, name in enumerate(data.modalities):
        partly = int((data.available[:, i] & ~settled.available[:, i]).sum())
        if partly:
            yield (f"{name} was recorded only in part in {partly} rows; there it counts as absent.")
    absent = {
        name: 1 - share
        for name, share in zip(
            settled.modalities, settled.available.float().mean(0).tolist(), strict=True
        )
        if share < 1
    }
    if absent:
        listed = ", ".join(f"{name} in {share:.1%} of the rows" for name, share in absent.items())
        yield f"Truly absent: {listed}. They stay absent under every mask, and are never scored."


def fit_models(parts: Parts, settings: Settings) -> dict[str, Fitted]:
    """Pretrain one backbone on complete rows, then fit one model for each objective on it."""
    backbone = MLPBackbone.for_data(parts.train, seed=settings.seed)
    options = {} if settings.epochs is None else {"epochs": settings.epochs}
    bar = not settings.quiet
    pretrain(
        backbone, parts.train, parts.validation, seed=settings.seed, progress_bar=bar, **options
    )
    fitted = {}
    for objective in settings.objectives:
        start, model = time.perf_counter(), SURE(backbone)
        history = fit(
            model,
            parts.train,
            parts.validation,
            objective,
            seed=settings.seed,
            epochs=settings.epochs,
            progress_bar=bar,
        )
        fitted[objective] = Fitted(model, history, time.perf_counter() - start)
        if history.interrupted:
            break
    return fitted


def evaluate(parts: Parts, models: Mapping[str, Fitted], settings: Settings) -> Study:
    """Score the main model on the evaluation masks in full, the others on what compares them."""
    seed, model = settings.seed, models[settings.main].model
    masked = draw_masks(parts.test, seed)
    outcome = observe(model, masked, num_samples=settings.num_samples, seed=seed)
    slices = measure(outcome, masked, seed=seed)
    evidence = Evidence(
        random=slices[RANDOM],
        targets=measure_reconstructability(outcome.hidden, masked, seed),
        best_case=best_case(model, masked),
        objectives=compare_objectives(
            {name: fitted.model for name, fitted in models.items()}, settings.main, masked, seed
        ),
        ratio_validation=_validation_ratio(model, parts.validation, seed),
        test_rows=len(parts.test),
        test_groups=None if parts.test.group is None else len(parts.test.group.unique()),
        new_groups=_new_groups(parts),
    )
    return Study(settings, parts, models, masked, outcome, slices, evidence)


def _validation_ratio(model: SURE, validation: Batch, seed: int) -> float:
    masked = draw_masks(validation, seed)
    reconstruction = model.predict(masked, "none").reconstruction
    hidden, pattern = hidden_latents(model, masked, reconstruction), masked.pattern
    found = Pairs.of(hidden, pattern, seed).of_rows(hidden_slices(masked)[RANDOM])
    return found.get("variance_ratio", float("nan"))


def _new_groups(parts: Parts) -> bool:
    if parts.test.group is None:
        return False
    train, validation, test = (
        set() if part.group is None else set(part.group.tolist())
        for part in (parts.train, parts.validation, parts.test)
    )
    return not (train | validation) & test
