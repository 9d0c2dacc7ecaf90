"""From tensors to the arrays that the calibration room computes on."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from sure_pyro.precision import at_least_single


def as_array(x: Tensor) -> np.ndarray:
    """Array on the CPU; half precision is widened, since NumPy knows one of its kinds only."""
    return at_least_single(x.detach().cpu()).numpy()


def as_float64(x: Tensor) -> np.ndarray:
    """Copy to a float64 array on the CPU."""
    return as_array(x).astype(np.float64)
