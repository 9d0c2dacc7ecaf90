"""How a phase is trained: epochs, rates, sizes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sure_pyro.training.checkpoint import Progress


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
        Of the gradient; a longer one is shortened.
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


@dataclass(frozen=True)
class ConstantRate(Settings):
    """Settings whose learning rate does not fall."""

    def lr_at(self, epoch: int) -> float:
        """The learning rate."""
        return self.lr
