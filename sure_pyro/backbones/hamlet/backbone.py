"""HAMLET behind the seam: a vector per modality as latent, attention over modalities as fusion."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sure_pyro.backbones.hamlet.encoders import FrameEncoder, SequenceEncoder, WindowEncoder
from sure_pyro.backbones.hamlet.fusion import MERGES, Fusion
from sure_pyro.backbones.resnet import RESNET50
from sure_pyro.backbones.seam import Backbone, Latent
from sure_pyro.data import Batch
from sure_pyro.data.fields import ATTENTION_MASK, event_shape

KINDS = ("frames", "windows")


class HAMLET(Backbone):
    """Video frames and sensor windows to logits of K classes, cut before the fusion's batch norm.

    ==========  =================================  ======================  =================
    kind        features                           step encoder            latent
    ==========  =================================  ======================  =================
    "frames"    ``(B, S, 3, height, width)``       ResNet, averaged        ``(B, E)``
    "windows"   ``(B, S, samples, channels)``      two convolutions        ``(B, E)``
    ==========  =================================  ======================  =================

    S may differ between modalities. Steps that are padding (``padding`` of the batch) are left out.

    Parameters
    ----------
    modalities : sequence of mapping
        One each, such as ``{"name": "rgb", "kind": "frames"}`` or ``{"name": "gyro", "kind":
        "windows", "channels": 3}``. Their order is that of the tokens in the fusion: the weights
        belong to it.
    num_classes : int
        K.
    width : int
        E, which the heads of the attention share.
    num_heads, num_layers : int
        Of every attention, and of the LSTMs.
    dropout : float
    merge : {"concatenation", "sum"}
        How the fusion ends: representation of ``M * E``, or of E.
    blocks, resnet_width
        Of the ResNet of frames; by default ResNet-50.

    Raises
    ------
    ValueError
        If a modality, the merge or the number of heads is none that there can be.
    """

    needs_stand_in = False  # no picture and no movement are inputs like any others

    def __init__(
        self,
        modalities: Sequence[Mapping[str, Any]],
        num_classes: int,
        *,
        width: int = 128,
        num_heads: int = 2,
        num_layers: int = 2,
        dropout: float = 0.1,
        merge: str = "concatenation",
        blocks: Sequence[int] = RESNET50,
        resnet_width: int = 64,
    ):
        _check_modalities(modalities)
        _check_choices(merge, width, num_heads)
        filmed = any(m["kind"] == "frames" for m in modalities)
        # A row of frames is a whole clip of pictures, too large for many of them at once.
        super().__init__([m["name"] for m in modalities], batch_size=4 if filmed else 64)
        self.config: dict[str, Any] = {
            "modalities": [dict(m) for m in modalities],
            "num_classes": num_classes,
            "width": width,
            "num_heads": num_heads,
            "num_layers": num_layers,
            "dropout": dropout,
            "merge": merge,
            "blocks": list(blocks),
            "resnet_width": resnet_width,
        }
        self.encoders = nn.ModuleList(
            SequenceEncoder(
                FrameEncoder(width, blocks, resnet_width)
                if m["kind"] == "frames"
                else WindowEncoder(width, m["channels"]),
                width,
                num_layers,
                num_heads,
                dropout,
            )
            for m in modalities
        )
        M = len(self.modalities)
        self.fusion = Fusion(M, width, num_heads, dropout, merge)
        self.classifier = nn.Linear(width if merge == "sum" else M * width, num_classes)

    @classmethod
    def for_data(cls, batch: Batch, num_classes: int, *, seed: int = 0, **options) -> "HAMLET":
        """Build one for the modalities of a batch, in their order.

        Parameters
        ----------
        batch : Batch
            Rows ``(S, 3, height, width)`` are frames, ``(S, samples, channels)`` are windows.
        num_classes : int
            K.
        seed : int
            Of the weights; the global generator is left as it was.
        **options
            Of the class.

        Raises
        ------
        ValueError
            If a modality has any other shape.
        """
        modalities: list[dict[str, Any]] = []
        for name in batch.modalities:
            shape = tuple(_values(batch, name).shape[1:])
            if len(shape) == 4 and shape[1] == 3:
                modalities.append({"name": name, "kind": "frames"})
            elif len(shape) == 3:
                modalities.append({"name": name, "kind": "windows", "channels": shape[2]})
            else:
                raise ValueError(
                    f"{name!r} has rows of shape {shape}; HAMLET takes frames (S, 3, height, width)"
                    " and windows (S, samples, channels)."
                )
        return cls._seeded(seed, modalities, num_classes, **options)

    @classmethod
    def tiny(cls, modalities=None, num_classes: int = 4, *, seed: int = 0, **options) -> "HAMLET":
        """Build one of a few thousand weights, for tests and teaching.

        Parameters
        ----------
        modalities : sequence of mapping, optional
            By default frames ``"rgb"`` and the sensors ``"acc_phone"`` and ``"gyro"``.
        num_classes : int
            K.
        seed : int
            Of the weights; the global generator is left as it was.
        **options
            Of the class.
        """
        if modalities is None:
            sensor = {"kind": "windows", "channels": 3}
            modalities = [
                {"name": "rgb", "kind": "frames"},
                {"name": "acc_phone", **sensor},
                {"name": "gyro", **sensor},
            ]
        sizes: dict[str, Any] = {"width": 8, "blocks": [1, 1, 1, 1], "resnet_width": 2}
        return cls._seeded(seed, modalities, num_classes, **(sizes | options))

    @classmethod
    def _seeded(cls, seed: int, *args, **options) -> "HAMLET":
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return cls(*args, **options)

    def encoder(self, name: str) -> SequenceEncoder:
        """Encoder of a modality; that of frames has its ResNet at ``.steps.resnet``."""
        return self.encoders[self.modalities.index(name)]  # type: ignore[return-value]

    def forward(self, batch: Batch) -> Float[Tensor, "B K"]:
        """Logits of the classes."""
        return self.classifier(self.fuse(self.encode(batch)))

    def encode(self, batch) -> dict[str, Latent]:
        """See `Backbone.encode`: ``(B, E)`` each.

        Raises
        ------
        ValueError
            If the features of a modality have not the shape of its kind.
        """
        latents: dict[str, Latent] = {}
        for name in self.modalities:
            x, exists = self._steps(batch, name)
            latents[name] = self.encoder(name)(x, exists)
        return latents

    def fuse(self, latents) -> Float[Tensor, "B H"]:
        """See `Backbone.fuse`. The order of `latents` does not matter."""
        return self.fusion(torch.stack([latents[name] for name in self.modalities], 1))

    def readout(self, width: int) -> nn.Linear:
        """See `Backbone.readout`: the classifier."""
        return self.classifier

    def _steps(self, batch: Batch, name: str) -> tuple[Tensor, Bool[Tensor, "B S"]]:
        x = _values(batch, name)
        made = self.config["modalities"][self.modalities.index(name)]
        if made["kind"] == "frames":
            fits, wanted = x.ndim == 5 and x.shape[2] == 3, "(B, S, 3, height, width)"
        else:
            channels = made["channels"]
            fits, wanted = x.ndim == 4 and x.shape[3] == channels, f"(B, S, samples, {channels})"
        if not fits:
            raise ValueError(f"The features of {name!r} must be {wanted}; got {tuple(x.shape)}.")
        return x, batch.padding.get(name, x.new_ones(x.shape[:2], dtype=torch.bool))


def _values(batch: Batch, name: str) -> Tensor:
    """Tensor of a modality, which may have a mask of its steps beside it."""
    x = batch.features[name]
    if isinstance(x, Tensor):
        return x
    fields = [field for field in x if field != ATTENTION_MASK]
    if len(fields) != 1:
        raise ValueError(
            f"{name!r} must be one tensor, if need be with a field {ATTENTION_MASK!r} beside it; "
            f"got the fields {event_shape(x)}."
        )
    return x[fields[0]]


def _check_modalities(modalities: Sequence[Mapping[str, Any]]) -> None:
    for m in modalities:
        keys = {"name", "kind"} | ({"channels"} if m.get("kind") == "windows" else set())
        if m.get("kind") not in KINDS or set(m) != keys:
            raise ValueError(
                'A modality is {"name": ..., "kind": "frames"} or {"name": ..., "kind": "windows", '
                f'"channels": ...}}; got {dict(m)}.'
            )
    names = [m["name"] for m in modalities]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"`modalities` must have at least one, each of its own name; got {names}.")


def _check_choices(merge: str, width: int, num_heads: int) -> None:
    if merge not in MERGES:
        raise ValueError(f"`merge` must be one of {MERGES}; got {merge!r}.")
    if num_heads < 1 or width % num_heads:
        raise ValueError(f"`width` must be a multiple of `num_heads`; got {width} and {num_heads}.")
