"""Latents that were hidden on purpose: see `sure_pyro.calibrated.hidden`."""

from sure_pyro.calibrated.hidden import Hidden, hidden_latents

__all__ = ["MINIMUM_ROWS", "Hidden", "hidden_latents"]

MINIMUM_ROWS = 8
"""Cells (mask, hidden modality) with fewer rows give no correlation worth averaging."""
