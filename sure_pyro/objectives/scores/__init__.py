"""How an observed site is scored: effect handlers, one program under all of them."""

from sure_pyro.objectives.scores.crps import CRPS, crps_normal
from sure_pyro.objectives.scores.evidential import Evidential
from sure_pyro.objectives.scores.gaussian import BetaNLL, FixedScale, Unchanged
from sure_pyro.objectives.scores.heavy_tails import LaplaceNLL, StudentTNLL
from sure_pyro.objectives.scores.pinball import Pinball, pinball_normal
from sure_pyro.objectives.scores.positive_weights import PositiveWeights
from sure_pyro.objectives.scores.score import Score, Scored

__all__ = [
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
    "crps_normal",
    "pinball_normal",
]
