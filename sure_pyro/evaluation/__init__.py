"""Model and masks in, one tidy table out."""

from sure_pyro.evaluation.calibration import calibration_table
from sure_pyro.evaluation.hidden import Hidden, hidden_latents
from sure_pyro.evaluation.masks import Mask, named_masks
from sure_pyro.evaluation.observed import Observed
from sure_pyro.evaluation.predicted import Predicted
from sure_pyro.evaluation.table import Evaluation, evaluate, evaluate_filling, score

__all__ = [
    "evaluate",
    "evaluate_filling",
    "score",
    "Evaluation",
    "calibration_table",
    "Predicted",
    "Observed",
    "Hidden",
    "hidden_latents",
    "Mask",
    "named_masks",
]
