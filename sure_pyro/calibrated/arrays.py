"""From tensors to the float64 arrays that the calibration room computes on."""

from __future__ import annotations

import numpy as np
from torch import Tensor


def as_float64(x: Tensor) -> np.ndarray:
    """Copy to a float64 array on the CPU."""
    return x.detach().cpu().numpy().astype(np.float64)
