"""One epoch of training and one of validation.

Under several processes (`Fabric`), each takes its share of the rows of every mini-batch; all of
them validate on all validation rows, so that they agree on the best epoch.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sure_pyro.models import Latents
from sure_pyro.models.hiding import hide
from sure_pyro.models.latents import Masks
from sure_pyro.models.stored import StoredLatents
from sure_pyro.training.settings import Settings
from sure_pyro.training.steps import Step

if TYPE_CHECKING:
    import lightning_fabric

VALIDATION_ROWS = 1024  # rows per validation pass


class TrainingDiverged(RuntimeError):  # noqa: N818  (says what happened)
    """The loss was not finite. The model holds the best weights up to then."""


def train_epoch(
    wrapped,
    step: Step,
    train: Latents | StoredLatents,
    optimizer,
    settings: Settings,
    epoch: int,
    fabric: "lightning_fabric.Fabric",
) -> dict[str, float]:
    """Mean of the loss and its terms over the mini-batches of one epoch.

    Raises
    ------
    TrainingDiverged
        If a loss is not finite.
    """
    wrapped.train()
    for group in optimizer.param_groups:
        group["lr"] = settings.lr_at(epoch)
    collected = []
    draw = common_generator(epoch, fabric)
    for batch in train.batches(settings.batch_size, draw):
        visible = hide(batch, draw, odds=settings.hiding)
        loss = wrapped(*share(batch, visible, fabric.global_rank, fabric.world_size))
        _check_finite(loss, step, epoch)
        optimizer.zero_grad()
        fabric.backward(loss)
        fabric.clip_gradients(step, optimizer, max_norm=settings.max_norm, error_if_nonfinite=False)
        optimizer.step()
        collected.append({"loss": loss.detach(), **step.terms})
    return _means(collected)


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


def common_generator(epoch: int, fabric: "lightning_fabric.Fabric") -> torch.Generator | None:
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


def _check_finite(loss: Tensor, step: Step, epoch: int) -> None:
    if not torch.isfinite(loss):
        raise TrainingDiverged(
            f"The loss of phase {step.name!r} is {loss.item()} in epoch {epoch}. The weights of "
            "the best epoch so far are kept. Try a smaller `lr`, or look for extreme values in the "
            "features."
        )


def _means(collected: Iterable[dict[str, Tensor]]) -> dict[str, float]:
    collected = list(collected)
    return {key: torch.stack([c[key] for c in collected]).mean().item() for key in collected[0]}
