"""Correlation objectives, and the ELBO that carries them beside a likelihood.

This room reads traces and knows nothing of modalities: it works with any Pyro model.
"""

from sure_pyro.objectives.correlation import pearson
from sure_pyro.objectives.elbo import CorrelationELBO
from sure_pyro.objectives.pair import uncertainty_error_pair
from sure_pyro.objectives.presets import FixedScale, preset

__all__ = ["CorrelationELBO", "FixedScale", "pearson", "preset", "uncertainty_error_pair"]
