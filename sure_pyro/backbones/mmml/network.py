"""What all variants of MMML have in common: encoders, pooled latents, heads T, A and M.

Attributes are named as in the authors' checkpoints, so that those load as they are.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sure_pyro.backbones.mmml.config import MMMLConfig
from sure_pyro.backbones.mmml.encoders import Encoder, audio_encoder, masked_mean, text_encoder
from sure_pyro.backbones.seam import Latent, Tokens


class Network(nn.Module, ABC):
    """Encoders and heads; a variant says what head M is given.

    Parameters
    ----------
    config : MMMLConfig
    fused_width : int
        Width of what head M is given.
    encoders : mapping of str to nn.Module
        Encoders of ``text`` and ``audio`` to take; those that are not given are made.
    """

    def __init__(self, config: MMMLConfig, fused_width: int, encoders: Mapping[str, nn.Module]):
        super().__init__()
        self.modalities = config.modalities
        self.roberta_model: Encoder = encoders.get("text") or text_encoder(config.text)
        self.data2vec_model: Encoder = encoders.get("audio") or audio_encoder(config.audio)
        copies = 2 if config.context else 1
        self.T_output_layers = _head([copies * config.text_width], config.dropout)
        self.A_output_layers = _head([copies * config.audio_width], config.dropout)
        self.fused_output_layers = _head([fused_width, *(config.hidden or ())], config.dropout)

    @abstractmethod
    def fused(self, latents: Mapping[str, Latent]) -> Float[Tensor, "B F"]:
        """What head M is given, from latents that went through `given`."""

    def given(self, latents: Mapping[str, Latent]) -> dict[str, Latent]:
        """Latents as the fusion takes them: sequences as `Tokens`, zero where no token exists.

        Zero, and not what came, so that padding has no effect even where it is not finite.
        """
        return {name: _blanked(latents[name]) for name in self.modalities}

    def pooled(self, name: str, latent: Latent) -> Float[Tensor, "B D"]:
        """Pooled latent: of the first token of a text, the mean of the frames of an audio clip.

        It follows from the sequence, so that a reconstructed sequence brings its own; a latent
        that is a vector is a pooled one.
        """
        if isinstance(latent, Tensor):
            return latent
        if name.startswith("text"):
            return self.roberta_model.pooler(latent.values)
        return masked_mean(latent)

    def representation(self, latents: Mapping[str, Latent]) -> Float[Tensor, "B H"]:
        """All of head M but its last layer."""
        return self.fused_output_layers[:-1](self.fused(self.given(latents)))

    def outputs(self, latents: Mapping[str, Latent]) -> dict[str, Float[Tensor, "B 1"]]:
        """Outputs of the three heads: of the text, of the audio, and of both."""
        given = self.given(latents)
        pooled = {name: self.pooled(name, latent) for name, latent in given.items()}
        text = torch.cat([z for name, z in pooled.items() if name.startswith("text")], -1)
        audio = torch.cat([z for name, z in pooled.items() if name.startswith("audio")], -1)
        return {
            "T": self.T_output_layers(text),
            "A": self.A_output_layers(audio),
            "M": self.fused_output_layers(self.fused(given)),
        }


def _blanked(latent: Latent) -> Latent:
    if isinstance(latent, Tokens):
        return Tokens(latent.values.masked_fill(~latent.exists.unsqueeze(-1), 0), latent.exists)
    if latent.ndim == 2:
        return latent
    return Tokens(latent, torch.ones(latent.shape[:2], dtype=torch.bool, device=latent.device))


def _head(widths: list[int], dropout: float) -> nn.Sequential:
    """Dropout, then linear layers of the given input widths with ReLU between, to one output."""
    layers: list[nn.Module] = [nn.Dropout(dropout)]
    for size, width in zip(widths, [*widths[1:], 1], strict=True):
        layers += [nn.Linear(size, width), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
