"""Training in two phases, or jointly, with one loop."""

from sure_pyro.training.fit import fit
from sure_pyro.training.history import History
from sure_pyro.training.loop import Settings, TrainingDiverged

__all__ = ["History", "Settings", "TrainingDiverged", "fit"]
