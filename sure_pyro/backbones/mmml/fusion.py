"""The six variants of MMML: what head M is given.

t and a are the pooled latents, T and A the sequences with a learned class token put before them,
T' and A' the same after the cross-modal layers, ``[0]`` the class token.

================================  ================================================================
concatenation                     [t, a]
cross_modal_v1                    [T'[0], A'[0]]
cross_modal_v2                    [mix(t, T'[0]), mix(a, A'[0])]
cross_modal_v3                    [encoder([T, T'])[0], encoder([A, A'])[0]], tokens side by side
concatenation_context             [t, t of the context, a, a of the context]
cross_modal_context               [T'[0], that of the context, A'[0], that of the context]
================================  ================================================================
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import nn

from sure_pyro.backbones.mmml.attention import CrossModalLayer
from sure_pyro.backbones.mmml.config import MMMLConfig
from sure_pyro.backbones.mmml.network import Network
from sure_pyro.backbones.seam import Latent, Tokens


class Concatenation(Network):
    """Variants ``concatenation`` and ``concatenation_context``: pooled latents side by side."""

    def __init__(self, config: MMMLConfig, encoders: Mapping[str, nn.Module]):
        copies = 2 if config.context else 1
        super().__init__(config, copies * (config.text_width + config.audio_width), encoders)

    def fused(self, latents):
        """See `Network.fused`: texts first, then audio clips."""
        names = sorted(self.modalities, key=lambda name: name.startswith("audio"))
        return torch.cat([self.pooled(name, latents[name]) for name in names], -1)


class CrossModal(Network):
    """What the cross-modal variants have in common: class tokens and cross-modal layers."""

    def __init__(self, config: MMMLConfig, fused_width: int, encoders: Mapping[str, nn.Module]):
        super().__init__(config, fused_width, encoders)
        width = config.text_width
        self.text_cls_emb, self.audio_cls_emb = nn.Embedding(1, width), nn.Embedding(1, width)
        sizes = (width, config.num_heads, config.intermediate_size, config.dropout)
        self.CME_layers = nn.ModuleList(CrossModalLayer(*sizes) for _ in range(config.num_layers))

    def crossed(self, text: Latent, audio: Latent) -> tuple[Tokens, Tokens]:
        """T' and A': both streams after the cross-modal layers, class token first."""
        t = with_class_token(self.text_cls_emb, cast(Tokens, text))
        a = with_class_token(self.audio_cls_emb, cast(Tokens, audio))
        for layer in self.CME_layers:
            t, a = layer(t, a)
        return t, a


class CrossModalContext(CrossModal):
    """Variant ``cross_modal_context``: the same layers for the utterance and for its context."""

    def __init__(self, config: MMMLConfig, encoders: Mapping[str, nn.Module]):
        super().__init__(config, 4 * config.text_width, encoders)

    def fused(self, latents):
        """See `Network.fused`."""
        t, a = self.crossed(latents["text"], latents["audio"])
        t_context, a_context = self.crossed(latents["text_context"], latents["audio_context"])
        return torch.cat([x.values[:, 0] for x in (t, t_context, a, a_context)], -1)


class CrossModalV1(CrossModal):
    """Variant ``cross_modal_v1``: the two class tokens.

    It holds the layers of v2 and of v3 too, without using them, as the authors' checkpoints do.
    """

    widening = 1  # width of a token of the transformers, relative to that of a latent

    def __init__(self, config: MMMLConfig, encoders: Mapping[str, nn.Module]):
        super().__init__(config, 2 * self.widening * config.text_width, encoders)
        width, wide = config.text_width, self.widening * config.text_width
        self.text_mixed_cls_emb = nn.Embedding(1, wide)
        self.audio_mixed_cls_emb = nn.Embedding(1, wide)
        self.text_mixed_layer = _mixed_layer(width, config.dropout)
        self.audio_mixed_layer = _mixed_layer(width, config.dropout)
        self.text_encoder = _transformer(wide, config)
        self.audio_encoder = _transformer(wide, config)

    def fused(self, latents):
        """See `Network.fused`."""
        crossed = self.crossed(latents["text"], latents["audio"])
        return torch.cat([x.values[:, 0] for x in crossed], -1)


class CrossModalV2(CrossModalV1):
    """Variant ``cross_modal_v2``: class tokens, each mixed with the pooled latent."""

    def fused(self, latents):
        """See `Network.fused`."""
        t, a = self.crossed(latents["text"], latents["audio"])
        pooled = {name: self.pooled(name, latents[name]) for name in ("text", "audio")}
        text = self.text_mixed_layer(torch.cat([pooled["text"], t.values[:, 0]], -1))
        audio = self.audio_mixed_layer(torch.cat([pooled["audio"], a.values[:, 0]], -1))
        return torch.cat([text, audio], -1)


class CrossModalV3(CrossModalV1):
    """Variant ``cross_modal_v3``: tokens beside their crossed selves, through a transformer."""

    widening = 2

    def fused(self, latents):
        """See `Network.fused`."""
        t, a = self.crossed(latents["text"], latents["audio"])
        text = beside(cast(Tokens, latents["text"]), t)
        audio = beside(cast(Tokens, latents["audio"]), a)
        text = with_class_token(self.text_mixed_cls_emb, text)
        audio = with_class_token(self.audio_mixed_cls_emb, audio)
        y = self.text_encoder(text.values, src_key_padding_mask=~text.exists)
        z = self.audio_encoder(audio.values, src_key_padding_mask=~audio.exists)
        return torch.cat([y[:, 0], z[:, 0]], -1)


NETWORKS: dict[str, Callable[..., Network]] = {
    "concatenation": Concatenation,
    "cross_modal_v1": CrossModalV1,
    "cross_modal_v2": CrossModalV2,
    "cross_modal_v3": CrossModalV3,
    "concatenation_context": Concatenation,
    "cross_modal_context": CrossModalContext,
}
"""The network of each variant."""


def with_class_token(embedding: nn.Embedding, tokens: Tokens) -> Tokens:
    """Put the learned class token first; it always exists, so that attention is never empty."""
    first = embedding.weight.expand(len(tokens.values), 1, -1)
    exists = torch.cat([torch.ones_like(tokens.exists[:, :1]), tokens.exists], 1)
    return Tokens(torch.cat([first, tokens.values], 1), exists)


def beside(tokens: Tokens, crossed: Tokens) -> Tokens:
    """Tokens and their crossed selves, without its class token, as tokens of twice the width."""
    return Tokens(torch.cat([tokens.values, crossed.values[:, 1:]], -1), tokens.exists)


def _mixed_layer(width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * width, width), nn.ReLU())


def _transformer(width: int, config: MMMLConfig) -> nn.TransformerEncoder:
    """Three layers of torch's own, with its own dropout of 0.1, as the authors left it."""
    layer = nn.TransformerEncoderLayer(width, config.num_heads, config.mixer_size, batch_first=True)
    return nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
