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
from sure_pyro.objectives.scores.crps import CRPS
from sure_pyro.objectives.scores.evidential import Evidential
from sure_pyro.objectives.scores.gaussian import BetaNLL, FixedScale, Unchanged
from sure_pyro.objectives.scores.heavy_tails import LaplaceNLL, StudentTNLL
from sure_pyro.objectives.scores.pinball import Pinball
from sure_pyro.objectives.scores.positive_weights import PositiveWeights
from sure_pyro.objectives.scores.score import Score, Scored

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
    "Scored",
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
