"""SURE as a probabilistic program: missing modalities, reconstructed with their uncertainty.

Reference and teaching implementation of "Are you SURE? Enhancing Multimodal Pretraining with
Missing Modalities through Uncertainty Estimation" (arXiv 2504.13465).
"""

from sure_pyro import (
    backbones,
    calibrated,
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
from sure_pyro.backbones import Backbone, MLPBackbone, TransformerBackbone, pretrain
from sure_pyro.calibrated import (
    CalibratedSURE,
    Conformal,
    ConformalLatents,
    DeferralPolicy,
    conformal,
    conformal_latents,
    recalibrate,
)
from sure_pyro.compare import Recipe, compare
from sure_pyro.data import (
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
from sure_pyro.data.store import LatentStore
from sure_pyro.diagnostics import diagnose, to_arviz
from sure_pyro.evaluation import calibration_table
from sure_pyro.models import SURE, Prediction, encode_store
from sure_pyro.objectives import CorrelationELBO
from sure_pyro.training import TrainingDiverged, fit

__version__ = "0.1.0"

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
    "calibrated", "metrics", "evaluation", "diagnostics", "plots",
]  # fmt: skip
