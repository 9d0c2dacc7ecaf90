"""`fit`: both phases of SURE with defaults that work, or one joint phase."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sure_pyro.data import Batch
from sure_pyro.data.store import LatentStore
from sure_pyro.guides import WeightGuide, weight_guide
from sure_pyro.models import SURE
from sure_pyro.models.hiding import check_odds, hide
from sure_pyro.precision import moving_weights
from sure_pyro.training.checkpoint import Record
from sure_pyro.training.context import Context
from sure_pyro.training.history import History
from sure_pyro.training.origin import origin_of
from sure_pyro.training.plan import PHASES, Objective, Plan, given
from sure_pyro.training.resume import checkpoint_path, open_record
from sure_pyro.training.rows import Rows, check_trainable, own_randomness, repeated, rows_of
from sure_pyro.training.weights import fit_guide

if TYPE_CHECKING:
    import lightning_fabric


def fit(
    model: SURE,
    train: Batch | LatentStore,
    validation: Batch | LatentStore | None = None,
    objective: Objective = "elbo+pcc",
    *,
    phases: tuple[str, ...] = ("reconstruction", "head"),
    weight: float | None = None,
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
        Equation 6. By name: ``"default"`` (locations by squared error and stacked with the closed
        form, scales by the likelihood with a little of the correlation, a budget in steps), or
        ``"<score>"`` or ``"<score>+<correlation>"``, with the scores elbo,
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
    weight : float, optional
        Lambda, for the presets: 0.25, and 0.03 under ``"default"``.
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
    changes = given(epochs=epochs, batch_size=batch_size, lr=lr, hiding=hiding)
    plan = Plan(objective, weight, phases, guide, changes)
    plan.check(model, train)
    path = checkpoint_path(checkpoint, resume)
    rows = rows_of(model, train, validation, plan.supervised, seed)
    check_odds(hiding or {}, rows.train.modalities)
    fabric = _checked(fabric or _one_device(rows.train.available.device))
    with own_randomness(seed), moving_weights():
        latents = model.encode_training(
            rows.train, separate_scale=plan.faithful, reconstructor=plan.reconstructor
        )
        model.weights = None  # a posterior of other weights than those to come
        record = _open_record(path, plan, model, rows, fabric, seed, resume)
        history = History() if record is None else record.history
        held_out = repeated(model.encode(rows.validation))
        check_trainable(latents)
        masks = hide(held_out, torch.Generator().manual_seed(seed), odds=hiding)
        context = Context(
            model,
            latents,
            held_out,
            masks,
            plan.make_objective,
            fabric,
            history,
            seed,
            changes,
            progress_bar,
        )
        try:
            _run_phases(plan, context, record)
            if guide is not None:
                fit_guide(guide, context)
        except KeyboardInterrupt:
            history.interrupted = True
    model.eval()
    return history


def _run_phases(plan: Plan, context: Context, record: Record | None) -> None:
    """Run the phases that are not over, the first of them from where the record stands."""
    phases = plan.phases_for(context.model)
    settings = plan.settings_of(phases, len(context.train))
    begun = 0 if record is None else len(record.phases)  # before the interruption
    for k, phase in list(enumerate(phases))[max(begun - 1, 0) :]:
        step = PHASES[phase](context.model, *context.objective())
        context.run(step, settings[phase], record=record, resume=k < begun)


def _open_record(
    path: Path | None,
    plan: Plan,
    model: SURE,
    rows: Rows,
    fabric: "lightning_fabric.Fabric",
    seed: int,
    resume: bool,
) -> Record | None:
    """Record of the run in its checkpoint, if there is to be one."""
    phases = plan.phases_for(model)
    if path is None:
        return None
    settings = plan.settings_of(phases, len(rows.train))
    origin = origin_of(
        model,
        rows.train,
        rows.validation,
        fabric,
        objective=plan.objective,
        phases=phases,
        seed=seed,
        parts=plan.make_objective(),
        settings=settings,
        guide=plan.guide,
    )
    return open_record(path, origin, settings, resume)


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
