"""What a fit has at hand once it has begun: model, latents, masks, devices."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sure_pyro.guides import WeightGuide, WeightProgram
from sure_pyro.models import SURE, Latents
from sure_pyro.models.latents import Masks
from sure_pyro.models.stored import StoredLatents
from sure_pyro.objectives import CorrelationELBO
from sure_pyro.objectives.presets import Handler
from sure_pyro.training.checkpoint import Record
from sure_pyro.training.history import History
from sure_pyro.training.likelihoods import masked_batches, weight_program
from sure_pyro.training.loop import run_phase
from sure_pyro.training.settings import Settings
from sure_pyro.training.steps import Step

if TYPE_CHECKING:
    import lightning_fabric


@dataclass(frozen=True)
class Context:
    """What the phases and the guide of one fit share.

    Attributes
    ----------
    model : SURE
        Initialised.
    train : Latents or StoredLatents
    validation : Latents
    masks : dict of bool Tensor
        What is visible of `validation`, in every phase.
    objective : callable
        Makes objective and effect handler of a phase.
    fabric : Fabric
    history : History
        Is added to.
    seed : int
    changes : dict
        Settings instead of the defaults.
    progress_bar : bool
    """

    model: SURE
    train: Latents | StoredLatents
    validation: Latents
    masks: Masks
    objective: Callable[[], tuple[CorrelationELBO, Handler]]
    fabric: "lightning_fabric.Fabric"
    history: History
    seed: int
    changes: dict[str, Any]
    progress_bar: bool

    def run(
        self,
        step: Step,
        settings: Settings,
        train: Latents | None = None,
        record: Record | None = None,
        resume: bool = False,
    ) -> None:
        """Run a phase; see `run_phase`."""
        run_phase(
            step,
            self.train if train is None else train,
            self.validation,
            self.masks,
            settings,
            self.fabric,
            self.history,
            record=record,
            resume=resume,
            progress_bar=self.progress_bar,
        )

    def changed(self, settings: Settings) -> Settings:
        """Settings with what was asked for instead."""
        return replace(settings, **self.changes)

    @property
    def rows(self) -> Latents:
        """Training rows in memory, as a guide needs them."""
        assert isinstance(self.train, Latents)  # a store was refused
        return self.train

    def program(self, part: str, guide: WeightGuide) -> WeightProgram:
        """Prior and likelihood of a part, for the full data."""
        _, handler = self.objective()
        return weight_program(self.model, part, guide, len(self.train), handler)

    def batches(self, batch_size: int, repeats: int) -> list[tuple[Latents, Masks]]:
        """The training rows under random masks."""
        odds = self.changes.get("hiding")
        return masked_batches(self.rows, batch_size, repeats, self.seed, odds)
