"""The one training loop: mini-batches, validation, early stopping, checkpoints.

Under several processes (`Fabric`), each takes its share of the rows of every mini-batch; all of
them validate on all validation rows, so that they agree on the best epoch, and one writes.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm.auto import tqdm

from sure_pyro.models import Latents
from sure_pyro.models.hiding import hide
from sure_pyro.models.latents import Masks
from sure_pyro.models.stored import StoredLatents
from sure_pyro.training.checkpoint import (
    Progress,
    Record,
    load_checkpoint,
    load_trained_state,
    save_checkpoint,
    trained_state,
)
from sure_pyro.training.history import History
from sure_pyro.training.steps import Step

if TYPE_CHECKING:
    import lightning_fabric

VALIDATION_ROWS = 1024  # rows per validation pass


class TrainingDiverged(RuntimeError):  # noqa: N818  (says what happened)
    """The loss was not finite. The model holds the best weights up to then."""


@dataclass(frozen=True)
class Settings:
    """How a phase is trained.

    Attributes
    ----------
    epochs : int
        At most. A resumed phase may be given another number; what depends on it (the learning
        rate, and the progress that a schedule of the objective sees) then follows the new one from
        the epoch reached.
    lr : float
        Of AdamW, falling to zero over the epochs along a cosine.
    batch_size : int
    weight_decay : float
    patience : int
        Epochs without a better validation loss after which the phase ends.
    max_norm : float
        Gradients are clipped to it.
    hiding : mapping of str to float, optional
        Odds with which each modality is hidden, see `sure_pyro.models.hide`; equal if None.
    """

    epochs: int
    lr: float
    batch_size: int = 128
    weight_decay: float = 1e-4
    patience: int = 30
    max_norm: float = 5.0
    hiding: Mapping[str, float] | None = None

    def lr_at(self, epoch: int) -> float:
        """Learning rate of an epoch: a function of its number, so that resuming needs no state."""
        return self.lr * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))

    def over(self, progress: Progress) -> bool:
        """Whether a phase has run out of epochs, or of patience."""
        return progress.epoch >= self.epochs or progress.stale > self.patience


def run_phase(
    step: Step,
    train: Latents | StoredLatents,
    validation: Latents,
    validation_masks: Masks,
    settings: Settings,
    fabric: "lightning_fabric.Fabric",
    history: History,
    *,
    record: Record | None = None,
    resume: bool = False,
    progress_bar: bool = True,
) -> History:
    """Train one phase, and leave the weights of its best validation epoch in the model.

    Parameters
    ----------
    step : Step
    train : Latents or StoredLatents
    validation : Latents
    validation_masks : dict of bool Tensor
        What is visible of `validation`; the same for every epoch.
    settings : Settings
    fabric : Fabric
        Device, precision and processes.
    history : History
        Is added to.
    record : Record, optional
        Of the checkpoint that is written after every epoch.
    resume : bool
        Go on with the last phase of the record, from its checkpoint.
    progress_bar : bool

    Raises
    ------
    TrainingDiverged
        If a loss is not finite; the message says where and what to try.
    KeyboardInterrupt
        Passed on, after the best weights are back in the model.
    """
    with _nothing_else_trained(step):
        optimizer = torch.optim.AdamW(
            step.parameters_to_train(),
            weight_decay=settings.weight_decay,
            foreach=True,  # the same numbers from one call for all parameters
        )
        wrapped, optimizer = fabric.setup(step, optimizer)
        if record is not None and resume:
            progress, best = record.phases[-1], load_checkpoint(record, step, optimizer)
        else:
            start = evaluate(wrapped, step, validation, validation_masks)
            progress, best = Progress(step.name, start["selection"]), trained_state(step)
            if record is not None:
                record.begin(progress)
        history.best[step.name] = progress.best_epoch
        shown = progress_bar and fabric.is_global_zero
        bar = tqdm(total=settings.epochs, desc=step.name, disable=not shown, initial=progress.epoch)
        try:
            while not settings.over(progress):
                epoch = progress.epoch
                step.elbo.progress = epoch / settings.epochs
                means = _one_epoch(wrapped, step, train, optimizer, settings, epoch, fabric)
                step.epoch_finished()
                measured = evaluate(wrapped, step, validation, validation_masks)
                history.records.append(_record(step, epoch, settings, means, measured))
                if progress.take(measured["selection"]):
                    history.best[step.name], best = epoch, trained_state(step)
                bar.set_postfix(_postfix(measured))
                bar.update()
                if record is not None and fabric.is_global_zero:
                    save_checkpoint(record, step, best, optimizer)
        finally:  # also when interrupted or diverged: never lose what is fitted
            bar.close()
            load_trained_state(step, best)
            step.eval()
        return history


def _one_epoch(
    wrapped,
    step: Step,
    train: Latents | StoredLatents,
    optimizer,
    settings: Settings,
    epoch: int,
    fabric: "lightning_fabric.Fabric",
) -> dict[str, float]:
    """Mean of the loss and its terms over the mini-batches of one epoch."""
    wrapped.train()
    for group in optimizer.param_groups:
        group["lr"] = settings.lr_at(epoch)
    collected = []
    draw = _common_generator(epoch, fabric)
    for batch in train.batches(settings.batch_size, draw):
        visible = hide(batch, draw, odds=settings.hiding)
        loss = wrapped(*share(batch, visible, fabric.global_rank, fabric.world_size))
        if not torch.isfinite(loss):
            raise TrainingDiverged(
                f"The loss of phase {step.name!r} is {loss.item()} in epoch {epoch}. The weights "
                "of the best epoch so far are kept. Try a smaller `lr`, or look for extreme values "
                "in the features."
            )
        optimizer.zero_grad()
        fabric.backward(loss)
        fabric.clip_gradients(step, optimizer, max_norm=settings.max_norm, error_if_nonfinite=False)
        optimizer.step()
        collected.append({"loss": loss.detach(), **step.terms})
    return _means(collected)


def _common_generator(epoch: int, fabric: "lightning_fabric.Fabric") -> torch.Generator | None:
    """Generator that draws the same rows and masks in every process; None if there is one.

    The default one may differ between processes, as their shares are not quite equal.
    """
    if fabric.world_size == 1:
        return None
    return torch.Generator().manual_seed(torch.initial_seed() + epoch)


def share(batch: Latents, visible: Masks, rank: int, size: int) -> tuple[Latents, Masks]:
    """Rows of a mini-batch that one of `size` processes works on; too small a batch, whole."""
    if size == 1 or len(batch) < size:
        return batch, visible
    rows = torch.arange(rank, len(batch), size)
    return batch[rows], {name: v[rows] for name, v in visible.items()}


@contextmanager
def _nothing_else_trained(step: Step) -> Iterator[None]:
    """Ask for the gradients of the phase only: processes wait for each other's."""
    trained = set(step.parameters_to_train())
    others = [p for p in step.parameters() if p.requires_grad and p not in trained]
    for p in others:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in others:
            p.requires_grad_(True)


@torch.no_grad()
def evaluate(wrapped, step: Step, validation: Latents, masks: Masks) -> dict[str, float]:
    """Loss, its terms and the selection loss on validation rows with fixed masks."""
    wrapped.eval()
    collected = []
    for rows in torch.arange(len(validation)).split(VALIDATION_ROWS):
        visible = {name: v[rows] for name, v in masks.items()}
        loss = wrapped(validation[rows], visible)
        collected.append({"loss": loss, "selection": step.selection_loss(loss), **step.terms})
    return _means(collected)


def _means(collected: Iterable[dict[str, Tensor]]) -> dict[str, float]:
    collected = list(collected)
    return {key: torch.stack([c[key] for c in collected]).mean().item() for key in collected[0]}


def _record(step: Step, epoch: int, settings: Settings, train: dict, validation: dict) -> dict:
    record = {"phase": step.name, "epoch": epoch, "lr": settings.lr_at(epoch)}
    record |= {f"train/{k}": v for k, v in train.items()}
    return record | {f"validation/{k}": v for k, v in validation.items()}


def _postfix(measured: dict[str, float]) -> dict[str, str]:
    """Numbers a person wants to watch: validation loss, error, correlation."""
    shown = {"loss": f"{measured['loss']:.3f}"}
    for short in ("mse", "rho"):
        values = [v for k, v in measured.items() if k.startswith(f"{short}/")]
        if values:
            shown[short] = f"{sum(values) / len(values):.2f}"
    return shown
