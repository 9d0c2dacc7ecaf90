"""Objectives by name: how a site is scored, and which correlation stands beside it."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pyro.poutine.messenger import Messenger

from sure_pyro.objectives.elbo import CorrelationELBO
from sure_pyro.objectives.faithful import Faithful
from sure_pyro.objectives.scores.crps import CRPS
from sure_pyro.objectives.scores.evidential import Evidential
from sure_pyro.objectives.scores.gaussian import BetaNLL, FixedScale, Unchanged
from sure_pyro.objectives.scores.heavy_tails import LaplaceNLL, StudentTNLL
from sure_pyro.objectives.scores.pinball import Pinball

DEFAULT_WEIGHT = 0.25
"""Lambda of the presets. The likelihood is counted per number and the correlation per site."""

DEFAULT = "default"
"""Locations by squared error; scales by the likelihood with a little of the correlation."""
DEFAULT_OBJECTIVE = ("elbo+pcc", 0.03)
"""What its scales learn from, and lambda: as much as lowers no proper score."""

FAITHFUL = "faithful:"
"""Prefix of an objective whose locations learn from the squared error alone: see `Faithful`."""

Handler = Callable[[], Messenger]
"""What makes an effect handler: its class, or a function that sets its arguments."""


class NamedScore(NamedTuple):
    """A score by name: its handler, and the correlation that belongs to it if none is named."""

    handler: Handler
    correlation: str | None = None


SCORES: dict[str, NamedScore] = {
    "elbo": NamedScore(Unchanged),
    "sure": NamedScore(FixedScale, "pcc"),
    "beta-nll": NamedScore(BetaNLL),
    "student-t": NamedScore(StudentTNLL),
    "laplace": NamedScore(LaplaceNLL),
    "crps": NamedScore(CRPS),
    "pinball": NamedScore(Pinball),
    "evidential": NamedScore(Evidential),
}
CORRELATIONS: dict[str, str] = {
    "pcc": "pearson",
    "spearman": "spearman",
    "kendall": "kendall",
    "concordance": "concordance",
}


def preset(name: str, weight: float | None = None) -> tuple[CorrelationELBO, Handler]:
    """Objective and effect handler by name: ``"<score>"`` or ``"<score>+<correlation>"``.

    Parameters
    ----------
    name : str
        Scores: ``elbo`` (the likelihood), ``sure`` (squared error, with ``pcc`` unless another
        correlation is named: the paper), ``beta-nll``, ``student-t``, ``laplace``, ``crps``,
        ``pinball``, ``evidential``; each with the defaults of its class in
        `sure_pyro.objectives`. Correlations: ``pcc``, ``spearman``, ``kendall``,
        ``concordance``. With ``faithful:`` in front the location learns from the squared error
        alone, see `Faithful`. ``default`` is ``elbo+pcc`` with a smaller weight, for scales around
        locations that `sure_pyro.fit` has trained by squared error.
    weight : float, optional
        Lambda of equation 6, where a correlation takes part: 0.25, and 0.03 under ``default``.

    Returns
    -------
    elbo : CorrelationELBO
    handler : callable that returns a Messenger
        To run the model under: ``with handler(): ...``.

    Raises
    ------
    ValueError
        If there is no score or no correlation of that name.
    """
    if name == DEFAULT:
        name, usual = DEFAULT_OBJECTIVE
        return preset(name, usual if weight is None else weight)
    weight = DEFAULT_WEIGHT if weight is None else weight
    if name.startswith(FAITHFUL):
        elbo, inside = preset(name.removeprefix(FAITHFUL), weight)
        return elbo, partial(Faithful, inside)
    score, plus, correlation = name.partition("+")
    if score not in SCORES or (plus and correlation not in CORRELATIONS):
        raise ValueError(
            f"`objective` must be 'default', a CorrelationELBO, a score of {list(SCORES)}, or "
            f"'<score>+<correlation>' with a correlation of {list(CORRELATIONS)}; got {name!r}."
        )
    handler, own = SCORES[score]
    beside = correlation or own
    if beside is None:
        return CorrelationELBO(0.0), handler
    return CorrelationELBO(weight, statistic=CORRELATIONS[beside]), handler
