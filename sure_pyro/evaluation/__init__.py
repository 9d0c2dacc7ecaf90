"""Model and masks in, one tidy table out."""

from sure_pyro.evaluation.calibration import calibration_table
from sure_pyro.evaluation.hidden import hidden_latents
from sure_pyro.evaluation.masks import named_masks
from sure_pyro.evaluation.table import evaluate, score

__all__ = [
    "evaluate",
    "score",
    "calibration_table",
    "hidden_latents",
    "named_masks",
]
