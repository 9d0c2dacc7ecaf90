"""The closed form and a network, stacked on held-out rows; the scale learnt around both.

The network sees what the closed form can not: what is not linear. The closed form has what the
network has not, on few rows: hardly anything to overfit. How much of each is believed is decided
on rows that neither has seen (`sure_pyro.models.stacking`). The scale starts at that of the closed
form, which knows the mask, and is changed by a small network on the features of the location, from
which no gradient comes back: nothing that is asked of the scale can bend the location.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sure_pyro.equations import reconstruction
from sure_pyro.models.gaussian import GaussianReconstructor
from sure_pyro.models.latents import Latents, Masks
from sure_pyro.models.masked import TokenDecoder, TokenPool, summed_embeddings
from sure_pyro.models.parallel import ParallelLayers
from sure_pyro.models.reconstructor import SCALE_FLOOR, LocScale, Reconstructor
from sure_pyro.models.stacking import scale_factor, shares

LOG_RATIO_RANGE = (-4.0, 4.0)
"""Of the learnt scale over that of the closed form."""


class Features(nn.Module):
    """Embeddings of what is visible, summed up, and layers of its own for each target.

    Targets that are vectors go through their layers side by side; each sequence attends to its own
    visible tokens, as in `MaskedReconstructor`.
    """

    def __init__(
        self, shapes: Mapping[str, tuple[int, int]], width: int, layers: int, dropout: float
    ):
        super().__init__()
        self.shapes = dict(shapes)
        self.embeddings = nn.ModuleList(
            nn.Linear(D, width) if L == 1 else TokenPool(L, D, width) for L, D in shapes.values()
        )
        self.absent = nn.Parameter(0.1 * torch.randn(len(shapes), width))
        self.vectors = [name for name, (L, _) in shapes.items() if L == 1]
        self.layers = ParallelLayers(len(self.vectors), width, layers, dropout)
        self.tokens = nn.ModuleList(
            TokenDecoder(L, D, width, width, dropout) for L, D in shapes.values() if L > 1
        )

    def forward(
        self, values: Mapping[str, Tensor], visible: Mapping[str, Tensor]
    ) -> dict[str, Float[Tensor, "B L W"]]:
        """Features of every token of every target."""
        context = summed_embeddings(self.shapes, self.embeddings, self.absent, values, visible)
        parallel = self.layers(context.expand(len(self.vectors), -1, -1))
        found = {name: x.unsqueeze(1) for name, x in zip(self.vectors, parallel, strict=True)}
        sequences = [name for name in self.shapes if name not in found]
        for name, decoder in zip(sequences, self.tokens, strict=True):
            found[name] = F.gelu(decoder(context, values[name], visible[name]))
        return {name: found[name] for name in self.shapes}


class StackedLocation(Reconstructor):
    """Locations: a share of the closed form, a share of a network, and for the rest the mean.

    Until `stack` the network has the whole share. The scale that comes along is the closed form's.
    """

    shares: Tensor
    stacked: Tensor

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        width: int = 128,
        layers: int = 3,
        dropout: float = 0.1,
    ):
        super().__init__(shapes)
        self.closed = GaussianReconstructor(shapes)
        self.features = Features(shapes, width, layers, dropout)
        self.out = nn.ModuleList(nn.Linear(width, D) for _, D in shapes.values())
        self.register_buffer("shares", torch.tensor([[0.0, 1.0]] * len(shapes)))
        self.register_buffer("stacked", torch.tensor(False))

    def fit_closed_form(self, latents: Latents) -> None:
        """See `Reconstructor.fit_closed_form`."""
        self.closed.fit_closed_form(latents)

    def forward(self, values, visible) -> dict[str, LocScale]:
        """See `Reconstructor.forward`."""
        return self.combined(self.features(values, visible), values, visible)

    def combined(
        self, features: Mapping[str, Tensor], values: Mapping[str, Tensor], visible: Masks
    ) -> dict[str, LocScale]:
        """Locations from features that are known already."""
        network = self.of_network(features)
        if not self.stacked:  # the closed form costs something
            return {name: LocScale(m, torch.ones_like(m)) for name, m in network.items()}
        closed = self.closed(values, visible)
        return {
            name: LocScale(a * closed[name].loc + b * m, closed[name].scale)
            for (a, b), (name, m) in zip(self.shares, network.items(), strict=True)
        }

    def of_network(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Locations of the network alone."""
        layers = zip(self.shapes, self.out, strict=True)
        return {name: layer(features[name]) for name, layer in layers}

    @torch.no_grad()
    def stack(self, latents: Latents, visible: Masks) -> None:
        """Choose the shares on held-out rows, by squared error, for each target."""
        self.stacked.fill_(True)
        network = self.of_network(reconstruction(self.features, latents.values, visible))
        closed = self.closed(latents.values, visible)
        for i, name in enumerate(self.shapes):
            hidden = latents.available[name] & ~visible[name]
            if hidden.any():
                parts = (closed[name].loc, network[name], latents.values[name])
                self.shares[i] = torch.tensor(shares(*(x[hidden].flatten() for x in parts)))


class StackedReconstructor(Reconstructor):
    r"""Equation 2: the location of `StackedLocation`, and a scale learnt around it.

    .. math:: \sigma_i = f_i \, \sigma_i^{\text{closed}} \exp r_i(\text{features})

    with a factor f_i from held-out rows. It is trained in two halves (`sure_pyro.training`): the
    location by squared error, the scale by whatever objective. Parameters and cost grow linearly
    in M, and vectors go through their layers side by side.

    Parameters
    ----------
    shapes : dict of (int, int)
        ``(L_i, D_i)`` per modality.
    width : int
        Of the hidden layers.
    layers : int
        Of each target, behind the embeddings.
    dropout : float
        Between the layers.
    """

    halves = True
    factors: Tensor

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        width: int = 128,
        layers: int = 3,
        dropout: float = 0.1,
    ):
        super().__init__(shapes)
        self.location = StackedLocation(shapes, width, layers, dropout)
        self.spread = nn.ModuleList(_ratio(width, D) for _, D in shapes.values())
        self.register_buffer("factors", torch.ones(len(shapes)))

    def fit_closed_form(self, latents: Latents) -> None:
        """See `Reconstructor.fit_closed_form`."""
        self.location.fit_closed_form(latents)

    def forward(self, values, visible) -> dict[str, LocScale]:
        """See `Reconstructor.forward`."""
        features = self.location.features(values, visible)
        r = self.location.combined(features, values, visible)
        return self.scaled(r, features)

    def scaled(
        self, r: Mapping[str, LocScale], features: Mapping[str, Tensor]
    ) -> dict[str, LocScale]:
        """Around these locations, the scale from the features of the location."""
        found = {}
        for name, ratio, factor in zip(self.shapes, self.spread, self.factors, strict=True):
            log_ratio = ratio(features[name].detach()).clamp(*LOG_RATIO_RANGE)
            scale = factor * r[name].scale * log_ratio.exp()
            found[name] = LocScale(r[name].loc, scale.clamp_min(SCALE_FLOOR))
        return found

    def fit_held_out(self, half, latents, visible) -> None:
        """See `Reconstructor.fit_held_out`: shares of the locations, factors of the scales."""
        if half == "location":
            self.location.stack(latents, visible)
        else:
            self.fit_factors(latents, visible)

    @torch.no_grad()
    def fit_factors(self, latents: Latents, visible: Masks) -> None:
        """Choose the factor of each target on held-out rows."""
        self.factors.fill_(1.0)
        for i, (name, r) in enumerate(self(latents.values, visible).items()):
            hidden = latents.available[name] & ~visible[name]
            squared = ((latents.values[name] - r.loc) / r.scale).square()
            self.factors[i] = scale_factor(squared[hidden])


def _ratio(width: int, D: int) -> nn.Sequential:
    """From features to the log of a ratio of scales; at the start, ratios of 1."""
    last = nn.Linear(width, D)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), last)
