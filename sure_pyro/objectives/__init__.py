"""Scores and correlations of uncertainty and error, and the ELBO that carries both.

This room reads traces and knows nothing of modalities: it works with any Pyro model.
"""

from sure_pyro.objectives.concordance_correlation import concordance
from sure_pyro.objectives.correlation import pearson
from sure_pyro.objectives.elbo import CorrelationELBO
from sure_pyro.objectives.faithful import Faithful
from sure_pyro.objectives.pair import uncertainty_error_pair
from sure_pyro.objectives.presets import CORRELATIONS, SCORES, preset
from sure_pyro.objectives.rank_correlation import kendall, spearman
from sure_pyro.objectives.scores import (
    CRPS,
    BetaNLL,
    Evidential,
    FixedScale,
    LaplaceNLL,
    Pinball,
    PositiveWeights,
    Score,
    StudentTNLL,
    Unchanged,
)

__all__ = [
    "CorrelationELBO",
    "preset",
    "SCORES",
    "CORRELATIONS",
    "uncertainty_error_pair",
    "pearson",
    "spearman",
    "kendall",
    "concordance",
    "Score",
    "Unchanged",
    "FixedScale",
    "BetaNLL",
    "StudentTNLL",
    "LaplaceNLL",
    "CRPS",
    "Pinball",
    "Evidential",
    "PositiveWeights",
    "Faithful",
]
