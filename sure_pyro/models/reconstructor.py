"""What every reconstructor is: mu_i, sigma_i = r_i({z_j : v_j = 1}, v), equation 2.

A reconstructor is a Pyro module, so that a prior can be put on its weights; it returns the location
and scale of every modality for every row, visible or not. Who needs which is the caller's choice.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar, NamedTuple

import pyro
import pyro.distributions as dist
from jaxtyping import Bool, Float
from pyro.nn import PyroModule
from pyro.poutine.runtime import am_i_wrapped
from torch import Tensor, nn

from sure_pyro.equations import reconstruction
from sure_pyro.models.latents import Latents
from sure_pyro.precision import at_least_single

SCALE_FLOOR = 1e-3
"""Smallest scale of a reconstruction, in standard deviations of the latent."""

LOG_SCALE_RANGE = (-7.0, 5.0)
"""Log-scales are clipped to it, so that an early step can not overflow the likelihood."""


class LocScale(NamedTuple):
    """Location and scale (standard deviation, not variance), each ``(B, L, D)``."""

    loc: Float[Tensor, "B L D"]
    scale: Float[Tensor, "B L D"]

    def distribution(self):
        """Distribution of the latent, equation 2: batch shape (B, L), event shape (D,)."""
        return dist.Normal(self.loc, self.scale, validate_args=False).to_event(1)


class LocalPyroModule(PyroModule):
    """A `PyroModule` whose parameters are its own: two models in one process never share one.

    Pyro reads the setting when a module is made and again when it is called, so both happen inside
    its scope; outside, the setting stays as the user has it.
    """

    def __init__(self):
        with pyro.settings.context(module_local_params=True):
            super().__init__()

    def __call__(self, *args, **kwargs):
        """Call ``forward`` with Pyro's parameters kept local.

        Where no effect handler listens, it is the call of an ordinary module: Pyro's parameter
        store and settings belong to all threads, and a prediction needs neither.
        """
        if not am_i_wrapped():
            return nn.Module.__call__(self, *args, **kwargs)
        with pyro.settings.context(module_local_params=True):
            return super().__call__(*args, **kwargs)


class Reconstructor(LocalPyroModule):
    """Base of the reconstructors.

    Attributes
    ----------
    trained : bool
        Whether `sure_pyro.fit` trains it. If not, it is fitted in closed form when the model is
        initialised.
    halves : bool
        Whether location and scale are trained one after the other: it then has the parts
        ``location``, a reconstructor, and ``spread``.

    Parameters
    ----------
    shapes : dict of (int, int)
        ``(L_i, D_i)`` per modality.
    """

    trained: ClassVar[bool] = True
    halves: ClassVar[bool] = False

    def __init__(self, shapes: Mapping[str, tuple[int, int]]):
        super().__init__()
        self.shapes = dict(shapes)

    def fit_closed_form(self, latents: Latents) -> None:
        """Take from the training rows what is not trained by gradients; by default nothing."""

    def fit_held_out(
        self, half: str, latents: Latents, visible: Mapping[str, Bool[Tensor, "B _"]]
    ) -> None:
        """Take from validation rows what is no matter of gradients, after a half was trained."""

    def __call__(self, values, visible):
        """Equation 2: `forward` sees zero where nothing is visible, whatever is stored there."""
        return reconstruction(super().__call__, values, visible)

    def forward(
        self,
        values: Mapping[str, Float[Tensor, "B _ _"]],
        visible: Mapping[str, Bool[Tensor, "B _"]],
    ) -> dict[str, LocScale]:
        """Reconstruct every modality from what is visible, equation 2.

        Parameters
        ----------
        values : dict of Tensor, shapes ``(B, L_i, D_i)``
            Standardised latents; zero where ``visible`` is false.
        visible : dict of bool Tensor, shapes ``(B, L_i)``

        Returns
        -------
        dict of LocScale
            Per modality; the scale is at least `SCALE_FLOOR`.
        """
        raise NotImplementedError


def loc_scale(output: Float[Tensor, "*batch two_D"]) -> LocScale:
    """Split a network's output in two halves: location, and scale through an exponential.

    Errors have a heavy upper tail, which an exponential follows and a softplus flattens.
    """
    loc, log_scale = at_least_single(output).chunk(2, -1)
    return LocScale(loc, SCALE_FLOOR + log_scale.clamp(*LOG_SCALE_RANGE).exp())


def fully_connected(sizes: tuple[int, ...], dropout: float = 0.0) -> nn.Sequential:
    """Fully connected layers of the given sizes with GELU (and dropout) between them."""
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        if i > 0:
            layers += [nn.GELU(), nn.Dropout(dropout)]
        layers.append(nn.Linear(fan_in, fan_out))
    return nn.Sequential(*layers)
