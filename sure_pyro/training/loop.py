"""The runner of one phase: epochs, the best weights, early stopping, checkpoints."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from sure_pyro.models import Latents
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
from sure_pyro.training.epoch import evaluate, train_epoch
from sure_pyro.training.history import History
from sure_pyro.training.settings import Settings
from sure_pyro.training.steps import Step

if TYPE_CHECKING:
    import lightning_fabric


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
    phase = Phase(step, train, validation, validation_masks, settings, fabric, history, record)
    with _nothing_else_trained(step):
        phase.begin(resume)
        shown = progress_bar and fabric.is_global_zero
        done = phase.progress.epoch
        bar = tqdm(total=settings.epochs, desc=step.name, disable=not shown, initial=done)
        try:
            while not settings.over(phase.progress):
                bar.set_postfix(_postfix(phase.one_epoch()))
                bar.update()
        finally:  # also when interrupted or diverged: never lose what is fitted
            bar.close()
            load_trained_state(step, phase.best)
            step.eval()
    step.finish(validation, validation_masks)
    return history


@dataclass
class Phase:
    """A phase under way.

    Attributes
    ----------
    progress : Progress
        How far it is.
    best : dict of Tensor
        Weights of its best epoch.
    """

    step: Step
    train: Latents | StoredLatents
    validation: Latents
    masks: Masks
    settings: Settings
    fabric: "lightning_fabric.Fabric"
    history: History
    record: Record | None
    progress: Progress = field(init=False)
    best: dict[str, Tensor] = field(init=False)
    wrapped: Any = field(init=False)
    optimizer: Any = field(init=False)

    def begin(self, resume: bool) -> None:
        """Start anew, or where the record stands."""
        step, settings = self.step, self.settings
        optimizer = torch.optim.AdamW(
            step.parameters_to_train(),
            weight_decay=settings.weight_decay,
            foreach=True,  # the same numbers from one call for all parameters
        )
        self.wrapped, self.optimizer = self.fabric.setup(step, optimizer)
        if self.record is not None and resume:
            self.progress = self.record.phases[-1]
            self.best = load_checkpoint(self.record, step, self.optimizer)
        else:
            start = evaluate(self.wrapped, step, self.validation, self.masks)
            self.progress, self.best = Progress(step.name, start["selection"]), trained_state(step)
            if self.record is not None:
                self.record.begin(self.progress)
        self.history.best[step.name] = self.progress.best_epoch

    def one_epoch(self) -> dict[str, float]:
        """Train and validate once; write it down. Returns what was measured in validation."""
        step, epoch = self.step, self.progress.epoch
        step.elbo.progress = epoch / self.settings.epochs
        means = train_epoch(
            self.wrapped, step, self.train, self.optimizer, self.settings, epoch, self.fabric
        )
        step.epoch_finished()
        measured = evaluate(self.wrapped, step, self.validation, self.masks)
        self.history.records.append(self._record_of(epoch, means, measured))
        if self.progress.take(measured["selection"]):
            self.history.best[step.name], self.best = epoch, trained_state(step)
        if self.record is not None and self.fabric.is_global_zero:
            save_checkpoint(self.record, step, self.best, self.optimizer)
        return measured

    def _record_of(self, epoch: int, train: dict, validation: dict) -> dict:
        found = {"phase": self.step.name, "epoch": epoch, "lr": self.settings.lr_at(epoch)}
        found |= {f"train/{k}": v for k, v in train.items()}
        return found | {f"validation/{k}": v for k, v in validation.items()}


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


def _postfix(measured: dict[str, float]) -> dict[str, str]:
    """Numbers a person wants to watch: validation loss, error, correlation."""
    shown = {"loss": f"{measured['loss']:.3f}"}
    for short in ("mse", "rho"):
        values = [v for k, v in measured.items() if k.startswith(f"{short}/")]
        if values:
            shown[short] = f"{sum(values) / len(values):.2f}"
    return shown
