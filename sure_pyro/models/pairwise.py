"""The paper's reconstructors: one network r_i(z_j) for each ordered pair of modalities."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sure_pyro.models.reconstructor import (
    LocScale,
    Reconstructor,
    fully_connected,
    loc_scale,
)


class PairwiseReconstructor(Reconstructor):
    r"""Six fully connected layers per pair, combined by precision (equation 2).

    .. math:: \frac{1}{\sigma_i^2} = 1 + \sum_{j \ne i,\, v_j = 1} \frac{1}{\sigma_{ij}^2}, \qquad
              \mu_i = \sigma_i^2 \sum_{j \ne i,\, v_j = 1} \frac{\mu_{ij}}{\sigma_{ij}^2}

    The 1 is the expert that sees nothing: latents are standardised, so it is Normal(0, 1). The
    experts are trained through their product, which teaches them not to count twice what their
    sources share.

    Parameters and cost grow as M (M - 1): for six modalities, thirty networks. See
    `MaskedReconstructor` for growth that is linear in M.

    Parameters
    ----------
    shapes : dict of (int, int)
        ``(L_i, D_i)`` per modality; sequences are flattened.
    width : int
        Of the hidden layers.
    dropout : float
        Between the layers.
    evidential : bool
        Refused: experts are combined as Gaussians.

    Raises
    ------
    ValueError
        If `evidential` is true.
    """

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, int]],
        width: int = 128,
        dropout: float = 0.1,
        evidential: bool = False,
    ):
        super().__init__(shapes)
        if evidential:
            raise ValueError(
                "The pairwise reconstructor combines Gaussians, so it can not be `evidential`; "
                "use reconstructor='masked'."
            )
        self.pairs = [(i, j) for i in shapes for j in shapes if i != j]
        sizes = {name: L * D for name, (L, D) in self.shapes.items()}
        self.networks = nn.ModuleList(
            fully_connected((sizes[j], *[width] * 5, 2 * sizes[i]), dropout) for i, j in self.pairs
        )

    def forward(self, values, visible) -> dict[str, LocScale]:
        """See `Reconstructor.forward`."""
        precision = {name: torch.ones_like(z) for name, z in values.items()}  # the Normal(0, 1)
        weighted = {name: torch.zeros_like(z) for name, z in values.items()}
        for (i, j), network in zip(self.pairs, self.networks, strict=True):
            expert = self._expert(network, i, values[j])
            seen = visible[j].any(-1)[:, None, None]  # (B, 1, 1)
            tau = torch.where(
                seen, expert.scale.square().reciprocal(), torch.zeros_like(expert.scale)
            )
            precision[i] = precision[i] + tau
            weighted[i] = weighted[i] + tau * expert.loc
        return {
            name: LocScale(weighted[name] / tau, tau.rsqrt()) for name, tau in precision.items()
        }

    def _expert(self, network: nn.Module, i: str, z_j: Tensor) -> LocScale:
        L, D = self.shapes[i]
        output = network(z_j.flatten(1)).unflatten(-1, (L, 2 * D))  # (B, L_i, 2 D_i)
        return loc_scale(output)
