"""Training in two phases, or jointly, with one loop."""

from sure_pyro.training.epoch import TrainingDiverged
from sure_pyro.training.fitting import fit
from sure_pyro.training.history import History
from sure_pyro.training.settings import Settings

__all__ = ["History", "Settings", "TrainingDiverged", "fit"]
