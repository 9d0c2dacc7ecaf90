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
from .backbones import Backbone, MLPBackbone, pretrain
from .calibration import (
    CalibratedSURE,
    Conformal,
    DeferralPolicy,
    conformal,
    conformal_latents,
    recalibrate,
)
from .comparison import compare
from .data import (
    Batch,
    from_arrays,
    from_dataframe,
    load,
    load_npz,
    missing,
    resolve_partial,
    save_npz,
    synthetic,
)
from .data.store import LatentStore
from .diagnostics import diagnose, to_arviz
from .evaluation import calibration_table
from .models import SURE, Prediction
from .objectives import CorrelationELBO
from .training import fit

__version__: str

__all__ = [
    # data
    "Batch",
    "from_arrays",
    "from_dataframe",
    "load",
    "load_npz",
    "save_npz",
    "missing",
    "resolve_partial",
    "synthetic",
    "LatentStore",
    # models, and how they are fitted
    "Backbone",
    "MLPBackbone",
    "pretrain",
    "SURE",
    "CorrelationELBO",
    "fit",
    "Prediction",
    # whether to believe them
    "diagnose",
    "to_arviz",
    "calibration_table",
    "recalibrate",
    "CalibratedSURE",
    "conformal",
    "Conformal",
    "conformal_latents",
    "DeferralPolicy",
    "compare",
    # rooms
    "data",
    "backbones",
    "models",
    "guides",
    "objectives",
    "training",
    "propagation",
    "calibration",
    "metrics",
    "evaluation",
    "diagnostics",
    "plots",
]
