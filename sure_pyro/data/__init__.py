"""Batches with availability: constructors, files, real and synthetic data, missingness."""

from sure_pyro.data import missing
from sure_pyro.data.arrays import from_arrays
from sure_pyro.data.batch import Batch
from sure_pyro.data.dataframe import from_dataframe
from sure_pyro.data.embedded import load
from sure_pyro.data.evaluation import EvaluationMasks, load_masks, save_masks
from sure_pyro.data.masked_rows import MaskedRows, draw_masks, every_mask, one_mask_each
from sure_pyro.data.npz import load_npz, save_npz
from sure_pyro.data.partial import resolve_partial
from sure_pyro.data.patterns import mask_patterns, rows_by_pattern
from sure_pyro.data.standardize import Standardizer
from sure_pyro.data.synthetic import SyntheticTruth, synthetic

__all__ = [
    "Batch",
    "from_arrays",
    "from_dataframe",
    "load",
    "load_npz",
    "save_npz",
    "synthetic",
    "SyntheticTruth",
    "missing",
    "resolve_partial",
    "Standardizer",
    "mask_patterns",
    "rows_by_pattern",
    "EvaluationMasks",
    "save_masks",
    "load_masks",
    "MaskedRows",
    "draw_masks",
    "every_mask",
    "one_mask_each",
]
