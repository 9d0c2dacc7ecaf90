"""What `sure_pyro` offers; imported when it is asked for (see ``__init__.py``)."""

from . import (
    backbones,
    calibration,
    data,
    diagnostics,
    evaluation,
    guides,
    metrics,
    models,
    objectives,
    plots,
    propagation,
    training,
)
from .backbones import Backbone, MLPBackbone, TransformerBackbone, pretrain
from .calibration import (
    CalibratedSURE,
    Conformal,
    ConformalLatents,
    DeferralPolicy,
    conformal,
    conformal_latents,
    recalibrate,
)
from .comparison import Recipe, compare
from .data import (
    Batch,
    EvaluationMasks,
    from_arrays,
    from_dataframe,
    load,
    load_masks,
    load_npz,
    missing,
    resolve_partial,
    save_masks,
    save_npz,
    synthetic,
)
from .data.store import LatentStore
from .diagnostics import diagnose, to_arviz
from .evaluation import calibration_table
from .models import SURE, Prediction, encode_store
from .objectives import CorrelationELBO
from .training import TrainingDiverged, fit

__version__: str

__all__ = [
    "Batch", "from_arrays", "from_dataframe", "load", "load_npz", "save_npz", "missing",
    "resolve_partial", "synthetic", "EvaluationMasks", "save_masks", "load_masks",
    "Backbone", "MLPBackbone", "TransformerBackbone", "pretrain", "SURE", "Prediction",
    "LatentStore", "encode_store",
    "CorrelationELBO", "fit", "TrainingDiverged", "to_arviz",
    "recalibrate", "CalibratedSURE", "conformal", "Conformal", "conformal_latents",
    "ConformalLatents", "DeferralPolicy", "calibration_table", "compare", "Recipe",
    "diagnose",
    "data", "backbones", "models", "guides", "objectives", "training", "propagation", "calibration",
    "metrics", "evaluation", "diagnostics", "plots",
]  # fmt: skip
