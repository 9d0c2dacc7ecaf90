"""The backbone seam: what SURE needs from a pretrained multimodal model, in two methods.

``encode`` gives each modality's latent z_i = f_i(x_i) (equation 1), ``fuse`` turns the latents into
the representation h = omega(z) (equation 4). Whatever can be written so can be made robust to
missing modalities; `Backbone.wrap` writes it for an existing ``nn.Module``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

from jaxtyping import Bool, Float
from torch import Tensor, nn

from sure_pyro.backbones.stand_in import stand_in
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
Maker = Callable[..., "Backbone"]
Made = TypeVar("Made", bound="type[Backbone]")
MAKERS: dict[str, Maker] = {}
"""Ways to make a backbone of an existing network, entered by the modules that have them."""


class Backbone(nn.Module, ABC):
    """A pretrained multimodal model, split at its latents and frozen.

    Frozen means frozen: no parameter asks for a gradient, and the module stays in evaluation mode
    whatever its parent does, so that dropout is off and batch-norm statistics do not move.

    Parameters
    ----------
    modalities : sequence of str
        The modality names, in the order of the columns of ``available``.
    batch_size : int
        Rows that `SURE` encodes in one call; a large data set never passes at once.

    Attributes
    ----------
    stand_in : Batch or None
        Two complete training rows. Where a modality is absent, `encode` is given the features of
        one of them, so that it never meets an input that is not legal; what comes of it is not
        used. They are saved with the model.

    Notes
    -----
    Rows must be independent, and the latent of a modality may depend on no other modality:
    `sure_pyro.backbones.check_backbone` verifies both on a batch.
    """

    needs_stand_in = True
    """False for a backbone to which zeros are as legal as any other input."""

    def __init__(self, modalities, *, batch_size: int = 64):
        super().__init__()
        self.modalities = tuple(modalities)
        self.batch_size = batch_size
        self.stand_in: Batch | None = None
        self._frozen = False

    def prepare(self, batch: Batch) -> None:
        """Look at (training) rows before the first of them is encoded."""
        if self.needs_stand_in:
            self.stand_in = stand_in(batch)

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

    def uncut(self, batch: Batch) -> Float[Tensor, "B H"] | None:
        """Representation of complete rows as the model makes it without being cut, if it can tell.

        `check_backbone` compares it with what `fuse` makes of what `encode` gives.
        """
        return None

    def explain(self, rows: Batch, gap: float) -> str:
        """Say why `fuse` of what `encode` gives is not what `uncut` gives, and what to do."""
        return (
            f"`fuse(encode(rows))` differs from `uncut(rows)` by up to {gap:.3g}: what is cut is "
            "not the model."
        )

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
    def wrap(net: nn.Module, latents: Mapping[str, Any], **options) -> "Backbone":
        """Make a backbone of any ``nn.Module``: see `WrappedBackbone`."""
        return MAKERS["wrap"](net, latents, **options)

    @staticmethod
    def from_transformers(
        model: Any, latents: Mapping[str, Any] | None = None, **options
    ) -> "Backbone":
        """Make a backbone of a model of Hugging Face's ``transformers``, loaded or by name.

        See `sure_pyro.backbones.hugging_face.TransformersBackbone`.
        """
        return MAKERS["from_transformers"](model, latents, **options)

    def _apply(self, fn: Callable, recurse: bool = True) -> "Backbone":
        """Move the rows that stand in along; their dtypes follow as those of buffers do."""
        super()._apply(fn, recurse)
        if self.stand_in is not None:
            self.stand_in = self.stand_in._map(fn)
        return self


def maker(name: str) -> Callable[[Made], Made]:
    """Enter a class as what the method of this name of `Backbone` makes."""

    def enter(cls: Made) -> Made:
        MAKERS[name] = cls
        return cls

    return enter


def values_of(latent: Latent) -> Tensor:
    """Give the numbers of a latent, without its padding mask."""
    return latent.values if isinstance(latent, Tokens) else latent
