"""From tensors to float64 arrays: see `sure_pyro.calibrated.arrays`."""

from sure_pyro.calibrated.arrays import as_float64

__all__ = ["as_float64"]
