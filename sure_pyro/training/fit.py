"""`fit`: both phases of SURE with defaults that work, or one joint phase."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sure_pyro.data import Batch
from sure_pyro.data.classes import aligned, aligned_with
from sure_pyro.data.store import LatentStore
from sure_pyro.guides import WeightGuide, weight_guide
from sure_pyro.models import SURE, Latents
from sure_pyro.models.hiding import check_odds, hide
from sure_pyro.models.stored import StoredLatents
from sure_pyro.objectives import CorrelationELBO, preset
from sure_pyro.objectives.presets import DEFAULT_WEIGHT, FAITHFUL, Handler, Unchanged
from sure_pyro.precision import moving_weights
from sure_pyro.training.history import History
from sure_pyro.training.loop import Settings, run_phase
from sure_pyro.training.origin import origin_of
from sure_pyro.training.resume import checkpoint_path, open_record
from sure_pyro.training.steps import (
    AmortisedStep,
    HeadStep,
    JointStep,
    LocationStep,
    ReconstructionStep,
    ScaleStep,
    Step,
)
from sure_pyro.training.weights import Occasion, fit_guide

if TYPE_CHECKING:
    import lightning_fabric

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
UNSUPERVISED = {"reconstruction", "location", "scale"}  # phases that need no targets
STORED_VALIDATION = 20_000  # rows of a store that are held in memory
VALIDATION_ROWS = 600  # few rows are repeated under other masks, so as not to hang on one draw


def fit(
    model: SURE,
    train: Batch | LatentStore,
    validation: Batch | LatentStore | None = None,
    objective: str | CorrelationELBO | tuple[CorrelationELBO, Handler] = "elbo+pcc",
    *,
    phases: tuple[str, ...] = ("reconstruction", "head"),
    weight: float = DEFAULT_WEIGHT,
    hiding: Mapping[str, float] | None = None,
    guide: str | WeightGuide | None = None,
    seed: int = 0,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress_bar: bool = True,
    fabric: "lightning_fabric.Fabric | None" = None,
) -> History:
    """Train the reconstructors (phase 1) and the head (phase 2), or both jointly.

    Parameters
    ----------
    model : SURE
        Initialised here if it is not.
    train : Batch or LatentStore
        With targets. Modalities may be missing. The rows of a store stay on disk: shards are read
        in random order, and rows in random order out of a few shards.
    validation : Batch or LatentStore, optional
        Chooses the best epoch; of a store, by 20,000 random rows. Its classes or labels may be in
        another order than those of `train`, and classes may lack: they go by their names. By
        default a fifth of `train` is held out, whole groups where there are groups; hand over
        groups that do not occur in `train` where the test brings new ones.
    objective : str, CorrelationELBO, or both a CorrelationELBO and an effect handler
        Equation 6. By name: ``"<score>"`` or ``"<score>+<correlation>"``, with the scores elbo,
        sure, beta-nll, student-t, laplace, crps, pinball, evidential and the correlations pcc,
        spearman, kendall, concordance; see `sure_pyro.objectives.preset`. With arguments of your
        own: ``(CorrelationELBO(0.25, memory=512), lambda: StudentTNLL(df=3.0))``.
        Under ``"faithful:..."`` the reconstruction is trained in two halves, ``"location"`` by
        squared error and then ``"scale"`` by the objective around the best locations, in networks
        of their own.
    phases : tuple of {"reconstruction", "head", "joint", "joint/amortised"}
        In the order in which they are run. The halves can be named, too, for a model with
        ``separate_scale=True``. None of them, ``()``, with a `guide`: the model is fitted
        already, and the guide alone is learnt.
    weight : float
        Lambda, for the presets.
    hiding : mapping of str to float, optional
        Odds with which each modality is hidden in training, relative to the others: with
        ``{"text": 3.0}`` text goes first three times as often as another one. 1 for those that are
        not named. The validation rows, which choose the best epoch, are hidden alike.
    guide : {"map", "mean-field", "low-rank", "laplace", "dropout", "ensemble", "swag"}, optional
        Or a `WeightGuide`: posterior of the trained weights, fitted after the phases and left in
        ``model.weights``; `SURE.predict` then adds the source ``"weights"``.
    seed : int
        Of initial weights, mini-batches, masks and dropout. The global generator is left as it was.
    epochs, batch_size, lr : optional
        For all phases, instead of the defaults of each.
    checkpoint : path, optional
        A file that is written after every epoch of a phase, and from which `resume` goes on. It
        carries what the run is: data, objective, phases, settings, seed, model and backbone.
    resume : bool
        Go on from `checkpoint` if it exists. The result equals that of an uninterrupted run, bit
        for bit with one process on one machine; a finished run comes back as it was. With more
        `epochs` each phase goes on to the new number, unless it ended for want of progress:
        its learning rate follows the cosine of the new number from the epoch reached (so it rises
        again), and later phases, which rested on the old weights, are done anew. A guide is not in
        the checkpoint: it is fitted from its beginning, to the same numbers.
    progress_bar : bool
    fabric : Fabric, optional
        For other devices, precisions or several processes, launched; each process then takes its
        share of every mini-batch. The default is one process on the device that the data is on.
        Its mixed precisions, and an autocast around the call, compute in half precision; weights,
        scales and the objective stay in single precision.

    Returns
    -------
    History
        If interrupted by hand, with ``interrupted = True``; the model then holds the best weights
        so far.

    Raises
    ------
    ValueError
        If data and model do not fit together (a class that is unknown is named), no row has two
        modalities to learn from, or `hiding` is not positive odds of modalities; if `checkpoint`
        can not be read, belongs to another run (what differs is spelled out), or has done more
        epochs than are asked for.
    TrainingDiverged
        If the loss is not finite; the best weights so far are kept.
    """
    guide = weight_guide(guide) if isinstance(guide, str) else guide
    if guide is not None and isinstance(train, LatentStore):
        raise ValueError(
            "A `guide` needs its rows in memory: fit the phases on the store, and then the guide "
            "on some of its rows, `sp.fit(model, store.batch(rows), phases=(), guide=...)`."
        )
    _check_phases(phases, guide, model)
    path = checkpoint_path(checkpoint, resume)
    if validation is None:
        train, validation = train.split((0.8, 0.2), seed=seed)
    train, validation = _numbered_alike(model, train, _sample(validation, seed), phases, guide)
    check_odds(hiding or {}, train.modalities)
    fabric = _checked(fabric or _one_device(train.available.device))
    changes = _given(epochs=epochs, batch_size=batch_size, lr=lr, hiding=hiding)
    faithful = isinstance(objective, str) and objective.startswith(FAITHFUL)
    with _own_randomness(seed), moving_weights():
        latents = model.encode_training(train, separate_scale=faithful)
        model.weights = None  # a posterior of other weights than those to come
        phases = _trained(model, _in_halves(phases) if faithful else phases, guide)
        _check_separate(model, phases)
        settings = {phase: replace(DEFAULTS[phase], **changes) for phase in phases}
        record = None
        if path is not None:
            origin = origin_of(
                model, train, validation, fabric, objective=objective, phases=phases, seed=seed,
                parts=_objective(objective, weight), settings=settings, guide=guide,
            )  # fmt: skip
            record = open_record(path, origin, settings, resume)
        history = History() if record is None else record.history
        held_out = _repeated(model.encode(validation))
        _check_trainable(latents)
        masks = hide(held_out, torch.Generator().manual_seed(seed), odds=hiding)
        begun = 0 if record is None else len(record.phases)  # before the interruption
        try:
            for k, phase in list(enumerate(phases))[max(begun - 1, 0) :]:
                run_phase(
                    PHASES[phase](model, *_objective(objective, weight)), latents, held_out, masks,
                    settings[phase], fabric, history,
                    record=record, resume=k < begun, progress_bar=progress_bar,
                )  # fmt: skip
            if guide is not None:
                assert isinstance(latents, Latents)  # a store was refused
                fit_guide(guide, Occasion(
                    model, latents, held_out, masks, lambda: _objective(objective, weight),
                    fabric, history, seed, changes, progress_bar,
                ))  # fmt: skip
        except KeyboardInterrupt:
            history.interrupted = True
    model.eval()
    return history


def _check_phases(phases: tuple[str, ...], guide: WeightGuide | None, model: SURE) -> None:
    unknown = [phase for phase in phases if phase not in PHASES]
    if unknown or not (phases or guide):
        raise ValueError(f"`phases` must name phases of {list(PHASES)}; got {tuple(phases)}.")
    if not phases and not model.initialized:
        raise ValueError("`phases=()` fits the guide alone, on a fitted model; this one is not.")


def _one_device(device: torch.device) -> "lightning_fabric.Fabric":
    # Imported here: it takes longer to import than everything else together.
    from lightning_fabric import Fabric

    return Fabric(accelerator=device.type, devices=1)


def _checked(fabric: "lightning_fabric.Fabric") -> "lightning_fabric.Fabric":
    """Refuse a precision that converts the trained parts: the rest of the model would not fit."""
    precision = fabric.strategy.precision.precision
    if precision.endswith("-true") and precision != "32-true":
        raise ValueError(
            f"`fabric` has the precision {precision!r}, which converts what is trained and leaves "
            "the model as it is. Take 'bf16-mixed' or '16-mixed'; for double precision leave it "
            "out, and hand over `data.to(torch.float64)` and `backbone.double()`."
        )
    return fabric


def _given(**changes) -> dict:
    return {k: v for k, v in changes.items() if v is not None}


def _objective(objective, weight: float) -> tuple[CorrelationELBO, Handler]:
    if isinstance(objective, tuple):
        return objective
    if isinstance(objective, CorrelationELBO):
        return objective, Unchanged
    return preset(objective, weight)


def _in_halves(phases: tuple[str, ...]) -> tuple[str, ...]:
    halves = {"reconstruction": ("location", "scale")}
    return tuple(half for phase in phases for half in halves.get(phase, (phase,)))


def _trained(model: SURE, phases: tuple[str, ...], guide: WeightGuide | None) -> tuple[str, ...]:
    """Phases but those that would train a reconstructor of closed form."""
    if model.reconstructor.trained:
        return phases
    if guide is not None and "reconstructor" in guide.over:
        raise ValueError(
            f"The {model.settings['reconstructor']!r} reconstructor is a closed form without "
            'trained weights: learn a guide over the head alone, `over=("head",)`.'
        )
    return tuple(phase for phase in phases if phase not in UNSUPERVISED)


def _check_separate(model: SURE, phases: tuple[str, ...]) -> None:
    if {"location", "scale"} & set(phases) and not model.settings["separate_scale"]:
        raise ValueError(
            "A faithful objective trains location and scale in networks of their own, and this "
            "model has one for both: build it anew with `SURE(..., separate_scale=True)`, or "
            "leave out 'faithful:'."
        )


def _sample(validation: Batch | LatentStore, seed: int) -> Batch:
    """Validation rows in memory: of a store, as many as choose an epoch as well as all do."""
    if not isinstance(validation, LatentStore):
        return validation
    draw = torch.Generator().manual_seed(seed)
    return validation.batch(torch.randperm(len(validation), generator=draw)[:STORED_VALIDATION])


def _repeated(latents: Latents) -> Latents:
    return latents[torch.arange(len(latents)).repeat(-(-VALIDATION_ROWS // len(latents)))]


def _numbered_alike(
    model: SURE,
    train: Batch | LatentStore,
    validation: Batch,
    phases: tuple[str, ...],
    guide: WeightGuide | None,
) -> tuple[Batch | LatentStore, Batch]:
    """Both with their classes numbered as the model numbers them, if it was initialised before."""
    supervised = not set(phases) <= UNSUPERVISED or (guide is not None and "head" in guide.over)
    if model.initialized and not supervised and train.target is None:
        return train, validation
    if isinstance(train, LatentStore):
        if model.initialized:
            _check_numbered(model, train)
    elif model.initialized:
        train = aligned(
            train, task=model.head.task, outputs=model.head.mean.out_features,
            names=model.class_names, argument="train",
        )  # fmt: skip
    return train, aligned_with(train, validation)


def _check_numbered(model: SURE, store: LatentStore) -> None:
    """Refuse a store whose classes are not numbered as the model's: what is on disk stays so."""
    if (store.task, store.class_names) != (model.head.task, model.class_names):
        raise ValueError(
            f"`train` is a store for {store.task} with the class_names {store.class_names}; the "
            f"model is for {model.head.task} with {model.class_names}. Fit a new model, or encode "
            "rows that are numbered as the model's."
        )


def _check_trainable(latents: Latents | StoredLatents) -> None:
    if not (latents.present.sum(-1) >= 2).any():
        raise ValueError(
            "No row of `train` has two modalities, so there is nothing to hide and to learn from. "
            "Reconstruction needs rows in which modalities occur together."
        )


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed the global generators for a while, and leave them as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
