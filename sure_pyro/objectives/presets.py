"""The three presets: one model, scored in three ways."""

import pyro.distributions as dist
import torch
from pyro.poutine.messenger import Messenger

from sure_pyro.objectives.elbo import CorrelationELBO

DEFAULT_WEIGHT = 0.25
"""Lambda of the presets. The likelihood is counted per number and the correlation per site."""


class FixedScale(Messenger):
    """Effect handler that scores observed locations under a fixed scale: squared error.

    Every observed site with a `Normal` (or `Normal(...).to_event()`) is scored as if its scale
    were `scale`, so that its log-likelihood is ``-squared error / (2 scale^2)`` up to a constant.
    The site's own distribution stays in ``infer["pair_from"]``: the correlation objective still
    reads its variance. Other sites are left alone.

    Parameters
    ----------
    scale : float
        In the units of the site.
    """

    def __init__(self, scale: float = 1.0):
        super().__init__()
        self.scale = scale

    def _pyro_sample(self, msg) -> None:
        fn = msg["fn"]
        base = fn.base_dist if isinstance(fn, dist.Independent) else fn
        if not msg["is_observed"] or not isinstance(base, dist.Normal):
            return
        fixed = dist.Normal(base.loc, torch.full_like(base.scale, self.scale), validate_args=False)
        msg["infer"] = {**msg["infer"], "pair_from": fn}
        msg["fn"] = fixed.to_event(len(fn.event_shape))


class Unchanged(Messenger):
    """The handler that does nothing."""


def preset(name: str, weight: float = DEFAULT_WEIGHT) -> tuple[CorrelationELBO, type[Messenger]]:
    """Objective and effect handler by name.

    Parameters
    ----------
    name : {"sure", "elbo", "elbo+pcc"}
        The paper's squared error + correlation; the likelihood alone; the likelihood with the
        correlation beside it (the default of the library).
    weight : float
        Lambda of equation 6, where the correlation takes part.

    Returns
    -------
    elbo : CorrelationELBO
    handler : type of Messenger
        To run the model under.

    Raises
    ------
    ValueError
        If there is no preset of that name.
    """
    if name == "sure":
        return CorrelationELBO(weight), FixedScale
    if name == "elbo":
        return CorrelationELBO(0.0), Unchanged
    if name == "elbo+pcc":
        return CorrelationELBO(weight), Unchanged
    raise ValueError(
        f"`objective` must be 'sure', 'elbo', 'elbo+pcc' or a CorrelationELBO; got {name!r}."
    )
