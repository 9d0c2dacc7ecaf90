"""The backbone seam: what SURE needs from a pretrained multimodal model, in two methods.

``encode`` gives each modality's latent z_i = f_i(x_i) (equation 1), ``fuse`` turns the latents into
the representation h = omega(z) (equation 4). Whatever can be written so can be made robust to
missing modalities; `sure_pyro.backbones.WrappedBackbone` writes it for an existing ``nn.Module``.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sure_pyro.data import Batch


class Tokens(NamedTuple):
    """A sequence latent with its padding mask.

    Attributes
    ----------
    values : Tensor, shape ``(B, L, D)``
        One latent vector per token.
    exists : bool Tensor, shape ``(B, L)``
        False at padding. A reconstructed sequence always has all of its L tokens.
    """

    values: Float[Tensor, "B L D"]
    exists: Bool[Tensor, "B L"]


Latent = Tensor | Tokens


class Backbone(nn.Module, ABC):
    """A pretrained multimodal model, split at its latents and frozen.

    Frozen means frozen: no parameter asks for a gradient, and the module stays in evaluation mode
    whatever its parent does, so that dropout is off and batch-norm statistics do not move.

    Parameters
    ----------
    modalities : sequence of str
        The modality names, in the order of the columns of ``available``.

    Notes
    -----
    Rows must be independent, and the latent of a modality may depend on no other modality:
    `sure_pyro.backbones.check_backbone` verifies both on a batch.
    """

    def __init__(self, modalities):
        super().__init__()
        self.modalities = tuple(modalities)
        self._frozen = False

    @abstractmethod
    def encode(self, batch: Batch) -> dict[str, Latent]:
        """Latents z_i = f_i(x_i), equation 1.

        Parameters
        ----------
        batch : Batch
            Everything that is known of the rows: features (a tensor or a mapping of tensors per
            modality), padding, what is available and recorded. Zero wherever nothing was recorded.

        Returns
        -------
        dict
            Per modality ``(B, D)``, ``(B, L, D)``, or `Tokens` where a sequence is padded. The
            rows of an absent modality are free: the caller overwrites them.
        """

    @abstractmethod
    def fuse(self, latents: Mapping[str, Latent]) -> Float[Tensor, "B H"]:
        """Representation h = omega(z), equation 4, from latents of the form that `encode` gives."""

    def readout(self, width: int) -> nn.Linear | None:
        """Last layer of the pretrained model, from h of the given width to its outputs, if known.

        The head starts from it, so that before any training it says what the model says.
        """
        return None

    def freeze(self) -> "Backbone":
        """Freeze parameters, buffers and dropout for good, and return self."""
        self._frozen = True
        self.requires_grad_(False)
        return self.train(False)

    def train(self, mode: bool = True) -> "Backbone":
        """Set the mode of an unfrozen backbone; a frozen one stays in evaluation mode."""
        return super().train(mode and not self._frozen)

    @staticmethod
    def wrap(net: nn.Module, latents: Mapping[str, str], **options) -> "Backbone":
        """Make a backbone of any ``nn.Module``: see `WrappedBackbone`."""
        from sure_pyro.backbones.wrap import WrappedBackbone

        return WrappedBackbone(net, latents, **options)


@torch.no_grad()
def check_backbone(backbone: Backbone, batch: Batch) -> None:
    """Verify on a few rows that a backbone can be used with missing modalities.

    Parameters
    ----------
    backbone : Backbone
    batch : Batch
        As for `Backbone.encode`; two rows are enough.

    Raises
    ------
    ValueError
        If features and parameters differ in dtype, if `encode` gives other modalities than it
        names, if the latent of one modality changes
        with the features of another, or if a row of the fusion changes with another row.
    """
    _check_dtypes(backbone, batch.features)
    latents = backbone.encode(batch)
    if tuple(latents) != backbone.modalities:
        raise ValueError(
            f"`encode` must return the modalities {backbone.modalities} in this order; "
            f"got {tuple(latents)}."
        )
    for moved in backbone.modalities:
        features = {**batch.features, moved: batch.features[moved] + 1}
        changed = backbone.encode(batch._with(features=features))
        for name in backbone.modalities:
            if name != moved and not torch.allclose(
                values_of(changed[name]), values_of(latents[name])
            ):
                raise ValueError(
                    f"The latent of {name!r} changes with the features of {moved!r}: the wrapped "
                    "latents must be taken before the modalities meet. Name earlier submodules."
                )
    alone = {name: _rows(latent, slice(0, 1)) for name, latent in latents.items()}
    together, single = backbone.fuse(latents)[:1], backbone.fuse(alone)
    if not torch.allclose(together, single, rtol=1e-3, atol=1e-4):
        raise ValueError(
            "The first row of `fuse` changes with the rows beside it, so uncertainty can not be "
            "propagated row by row. Call `backbone.freeze()` (batch-norm in training mode mixes "
            "rows), or remove what mixes rows."
        )


def _check_dtypes(backbone: Backbone, features: Mapping[str, Tensor]) -> None:
    of_parameters = {p.dtype for p in backbone.parameters() if p.is_floating_point()}
    of_features = {x.dtype for x in features.values() if x.is_floating_point()}
    if of_parameters and not of_features <= of_parameters:
        raise ValueError(
            f"The features are {of_features}, the backbone's parameters {of_parameters}. Convert "
            "one of them: `sp.from_arrays(..., dtype=torch.float32)`, or `backbone.double()`."
        )


def values_of(latent: Latent) -> Tensor:
    """Give the numbers of a latent, without its padding mask."""
    return latent.values if isinstance(latent, Tokens) else latent


def _rows(latent: Latent, rows) -> Latent:
    if isinstance(latent, Tokens):
        return Tokens(latent.values[rows], latent.exists[rows])
    return latent[rows]
