"""Small trainable backbones, for data without a pretrained model of its own.

`MLPBackbone` gives one latent vector per modality, `TransformerBackbone` one token per time step.
Both standardise their features by the training rows, and are pretrained on complete rows by
`pretrain`, after which they are as frozen as any other.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sure_pyro.backbones.seam import Backbone, Latent, Tokens, values_of
from sure_pyro.data import Batch
from sure_pyro.data.fields import plain
from sure_pyro.data.standardize import Standardizer, masked_moments
from sure_pyro.data.task import num_outputs, target_of

CLIP = 8.0
"""Features are clipped at so many standard deviations: a column that is nearly constant in training
would otherwise rule every latent of a row in which it moves."""


class SmallBackbone(Backbone):
    """What the two have in common: standardised features, and a readout of their own.

    Parameters
    ----------
    shapes : dict of tuple
        Feature shape of each modality, without the batch dimension.
    num_outputs : int
        C of the pretraining task.
    width : int
        H, the width of the representation.
    """

    needs_stand_in = False

    target_mean: Tensor
    target_scale: Tensor

    def __init__(self, shapes: Mapping[str, Sequence[int]], num_outputs: int, width: int):
        super().__init__(shapes)
        self.shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.standardizer = Standardizer(self.shapes)
        self.classifier = nn.Linear(width, num_outputs)
        self.register_buffer("target_mean", torch.zeros(num_outputs))  # 0 and 1 but for regression
        self.register_buffer("target_scale", torch.ones(num_outputs))

    @property
    def config(self) -> dict[str, Any]:
        """Keywords that build the same backbone again."""
        raise NotImplementedError

    @classmethod
    def for_data(cls, train: Batch, seed: int = 0, **options) -> "SmallBackbone":
        """Build one whose sizes fit the data, with features standardised by its rows.

        Parameters
        ----------
        train : Batch
            Training rows only.
        seed : int
            Of the initial weights; the global generator is left as it was.
        **options
            Of the class.
        """
        shapes = {
            n: tuple(plain(train.features, n, cls.__name__).shape[1:]) for n in train.modalities
        }
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            backbone = cls(shapes, num_outputs(train), **options)
        backbone.standardizer.fit(train)
        if train.task == "regression":
            y = target_of(train).reshape(len(train), -1)
            mean, scale = masked_moments(y, torch.ones_like(y).bool())
            backbone.target_mean.copy_(mean)
            backbone.target_scale.copy_(scale)
        dtype = next(iter(train.features.values())).dtype
        return backbone.to(device=train.available.device, dtype=dtype)

    def standardized(self, batch: Batch) -> dict[str, Tensor]:
        """Features in standard deviations of the training rows, clipped at `CLIP`."""
        x = self.standardizer(batch.features, batch.available, batch.recorded, batch.padding)
        return {name: value.clamp(-CLIP, CLIP) for name, value in x.items()}

    def forward(self, batch: Batch) -> Float[Tensor, "B C"]:
        """Outputs of the pretraining task: logits, or targets in their units."""
        output = self.classifier(self.fuse(self.encode(batch)))
        return self.target_mean + self.target_scale * output

    @torch.no_grad()
    def readout(self, width: int) -> nn.Linear:
        """See `Backbone.readout`."""
        readout = copy.deepcopy(self.classifier)
        readout.weight.mul_(self.target_scale.unsqueeze(-1))
        readout.bias.mul_(self.target_scale).add_(self.target_mean)
        return readout


class MLPBackbone(SmallBackbone):
    """Linear projectors to latent vectors, two fully connected layers as fusion.

    Parameters
    ----------
    shapes, num_outputs
        As in `SmallBackbone`; features are flattened.
    latent_size : int
        D of every modality, or its number of features if that is smaller.
    width : int
        H, and the width of the hidden layer.
    dropout : float
        While pretraining.
    """

    def __init__(
        self,
        shapes,
        num_outputs: int,
        *,
        latent_size: int = 32,
        width: int = 64,
        dropout: float = 0.1,
    ):
        super().__init__(shapes, num_outputs, width)
        self.config_options = {"latent_size": latent_size, "width": width, "dropout": dropout}
        sizes = {name: math.prod(shape) for name, shape in self.shapes.items()}
        latents = {name: min(latent_size, size) for name, size in sizes.items()}
        self.projectors = nn.ModuleList(nn.Linear(n, latents[name]) for name, n in sizes.items())
        self.fusion = nn.Sequential(
            nn.Linear(sum(latents.values()), width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.GELU(),
        )

    @property
    def config(self) -> dict[str, Any]:
        """See `SmallBackbone.config`."""
        num_outputs = self.classifier.out_features
        return {"shapes": self.shapes, "num_outputs": num_outputs, **self.config_options}

    def encode(self, batch) -> dict[str, Latent]:
        """See `Backbone.encode`: ``(B, D_i)`` each."""
        x = self.standardized(batch)
        return {
            name: project(x[name].flatten(1))
            for name, project in zip(self.modalities, self.projectors, strict=True)
        }

    def fuse(self, latents) -> Tensor:
        """See `Backbone.fuse`."""
        return self.fusion(torch.cat([latents[name] for name in self.modalities], -1))


class TransformerBackbone(SmallBackbone):
    """One token per time step of a sequence (or per vector), a transformer encoder as fusion.

    A modality of shape ``(L, channels)`` gives latents ``(B, L, D)``, a vector gives ``(B, D)``.
    Positions and modality embeddings belong to the fusion, so that a latent token does not say
    where it stands; a learned class token gives the representation.

    Parameters
    ----------
    shapes, num_outputs
        As in `SmallBackbone`; shapes of one or two dimensions.
    latent_size : int
        D of every modality.
    num_layers, num_heads : int
        Of the encoder.
    dropout : float
        While pretraining.

    Raises
    ------
    ValueError
        If a modality has more than two dimensions.
    """

    def __init__(
        self,
        shapes,
        num_outputs: int,
        *,
        latent_size: int = 32,
        num_layers: int = 2,
        num_heads: int = 4,
        dropout: float = 0.1,
    ):
        super().__init__(shapes, num_outputs, latent_size)
        wrong = {name: shape for name, shape in self.shapes.items() if len(shape) not in (1, 2)}
        if wrong:
            raise ValueError(f"Modalities must be (features,) or (steps, channels); got {wrong}.")
        self.config_options = {
            "latent_size": latent_size,
            "num_layers": num_layers,
            "num_heads": num_heads,
            "dropout": dropout,
        }
        lengths = [shape[0] if len(shape) == 2 else 1 for shape in self.shapes.values()]
        self.projectors = nn.ModuleList(
            nn.Linear(shape[-1], latent_size) for shape in self.shapes.values()
        )
        self.positions = nn.ParameterList(
            nn.Parameter(0.1 * torch.randn(L, latent_size)) for L in lengths
        )
        self.class_token = nn.Parameter(0.1 * torch.randn(1, latent_size))
        layer = nn.TransformerEncoderLayer(
            latent_size, num_heads, 2 * latent_size, dropout, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers, enable_nested_tensor=False)

    @property
    def config(self) -> dict[str, Any]:
        """See `SmallBackbone.config`."""
        num_outputs = self.classifier.out_features
        return {"shapes": self.shapes, "num_outputs": num_outputs, **self.config_options}

    def encode(self, batch) -> dict[str, Latent]:
        """See `Backbone.encode`: ``(B, L, D)`` for sequences, ``(B, D)`` for vectors.

        A padded sequence keeps its mask, and the fusion does not attend to padding.
        """
        x = self.standardized(batch)
        z = {
            name: project(x[name])
            for name, project in zip(self.modalities, self.projectors, strict=True)
        }
        return z | {name: Tokens(z[name], exists) for name, exists in batch.padding.items()}

    def fuse(self, latents) -> Tensor:
        """See `Backbone.fuse`."""
        tokens, hidden = [], []
        for name, position in zip(self.modalities, self.positions, strict=True):
            z = values_of(latents[name])
            z = z if z.ndim == 3 else z.unsqueeze(1)
            tokens.append(z + position[: z.shape[1]])
            hidden.append(_padding_of(latents[name], z))
        start = self.class_token.expand(len(tokens[0]), 1, -1)
        attended = torch.cat([start, *tokens], 1)
        if not any(isinstance(latents[name], Tokens) for name in self.modalities):
            return self.encoder(attended)[:, 0]
        padding = F.pad(torch.cat(hidden, 1), (1, 0))  # the class token is none
        return self.encoder(attended, src_key_padding_mask=padding)[:, 0]


def _padding_of(latent: Latent, z: Tensor) -> Bool[Tensor, "B L"]:
    """True at padding."""
    if isinstance(latent, Tokens):
        return ~latent.exists
    return torch.zeros(z.shape[:2], dtype=torch.bool, device=z.device)
