"""Batches with availability: constructors, files, real and synthetic data, missingness."""

from sure_pyro.data import missing
from sure_pyro.data.arrays import from_arrays
from sure_pyro.data.batch import Batch
from sure_pyro.data.dataframe import from_dataframe
from sure_pyro.data.embedded import load
from sure_pyro.data.evaluation import EvaluationMasks, load_masks, save_masks
from sure_pyro.data.masked_rows import draw_masks, every_mask
from sure_pyro.data.npz import load_npz, save_npz
from sure_pyro.data.partial import resolve_partial
from sure_pyro.data.synthesis import synthetic

__all__ = [
    "Batch",
    "from_arrays",
    "from_dataframe",
    "load",
    "load_npz",
    "save_npz",
    "synthetic",
    "missing",
    "resolve_partial",
    "EvaluationMasks",
    "save_masks",
    "load_masks",
    "draw_masks",
    "every_mask",
]
