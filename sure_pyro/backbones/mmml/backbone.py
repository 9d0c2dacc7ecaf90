"""`MMML` as a backbone: the authors' network behind the seam."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sure_pyro.backbones.mmml.config import MMMLConfig
from sure_pyro.backbones.mmml.encoders import encode_audio, encode_text
from sure_pyro.backbones.mmml.features import masked_feature
from sure_pyro.backbones.mmml.fusion import NETWORKS
from sure_pyro.backbones.mmml.loading import (
    encoder_config,
    fill,
    fitting_config,
    official_state,
    pretrained_encoders,
)
from sure_pyro.backbones.seam import Backbone, Latent, Tokens, values_of


class MMML(Backbone):
    """Text and speech to a sentiment between -3 and 3, in one of six variants.

    Latents are the sequences of last hidden states of RoBERTa and of Data2Vec-audio, as `Tokens`
    ``(B, L, D)``; in the concatenating variants the pooled vectors ``(B, D)``. With context, the
    utterances before are modalities of their own, ``text_context`` and ``audio_context``.

    Parameters
    ----------
    config : MMMLConfig or mapping
        Sizes; a mapping is taken as keywords of `MMMLConfig`. Weights are random: `from_official`
        and `from_pretrained` bring trained ones.
    encoders : mapping of str to nn.Module, optional
        Models of transformers to take as encoders of ``text`` and ``audio``, of these sizes.

    Attributes
    ----------
    network : nn.Module
        The authors' network under the names of their checkpoints.

    Notes
    -----
    No token exists of a text or a clip that is absent (``available`` False), and the fusion goes by
    its class token alone. An absent context is what the authors make of a missing one: an empty
    text, and a silent clip of which Data2Vec still gives all frames but the last.

    Examples
    --------
    >>> import torch
    >>> from sure_pyro.data import Batch
    >>> backbone = MMML.tiny("cross_modal_v1", seed=0).freeze()
    >>> batch = Batch({"text": torch.full((2, 5), 7), "audio": torch.zeros(2, 2000)})
    >>> latents = backbone.encode(batch)
    >>> tuple(latents["text"].values.shape), tuple(latents["audio"].values.shape)
    ((2, 5, 16), (2, 6, 16))
    >>> tuple(backbone.fuse(latents).shape), list(backbone(batch))
    ((2, 512), ['T', 'A', 'M'])
    """

    needs_stand_in = False  # an empty text and silence are inputs like any others

    def __init__(
        self,
        config: MMMLConfig | Mapping[str, Any],
        encoders: Mapping[str, nn.Module] | None = None,
    ):
        sizes = config if isinstance(config, MMMLConfig) else MMMLConfig(**config)
        super().__init__(sizes.modalities)
        self.sizes = sizes
        self.network = NETWORKS[sizes.variant](sizes, encoders or {})

    @property
    def config(self) -> dict[str, Any]:
        """Keywords that build the same backbone again, in values that JSON can hold."""
        return {"config": self.sizes.to_dict()}

    @classmethod
    def tiny(cls, variant: str = "cross_modal_v1", seed: int = 0) -> "MMML":
        """Small one with random weights, for tests and teaching: see `MMMLConfig.tiny`."""
        return cls._seeded(MMMLConfig.tiny(variant), seed)

    @classmethod
    def from_official(
        cls,
        checkpoint: str | Path | Mapping[str, Tensor],
        config: MMMLConfig | str | Path | Mapping[str, Any],
    ) -> "MMML":
        """Model of the authors' program.

        Parameters
        ----------
        checkpoint : path or mapping of str to Tensor
            What the authors' program saved: a bare state dict.
        config : MMMLConfig, path or mapping
            Sizes: ``MMMLConfig.official(variant)`` for the published ones, or what
            `MMMLConfig.read` takes. Widths that the checkpoint tells by its shapes (those of head
            M, for one) are taken from there.

        Raises
        ------
        ValueError
            As `load_official`.
        """
        sizes = config if isinstance(config, MMMLConfig) else MMMLConfig.read(config)
        state = official_state(checkpoint)
        return cls._seeded(fitting_config(sizes, state), 0).load_official(state)

    @classmethod
    def from_pretrained(
        cls,
        variant: str = "cross_modal_v1",
        text: str | Path = "roberta-base",
        audio: str | Path = "facebook/data2vec-audio-base",
        *,
        seed: int = 0,
        **changes: Any,
    ) -> "MMML":
        """Pretrained encoders under a fusion with random weights: where the authors start.

        Parameters
        ----------
        variant : str
            One of `sure_pyro.backbones.mmml.VARIANTS`.
        text, audio : str or path
            Names on the Hugging Face hub, or folders that hold such models. The authors take
            ``roberta-large`` for the variants with context, and
            ``facebook/data2vec-audio-large-960h`` for ``cross_modal_context``.
        seed : int
            Of the weights that are not pretrained; the global generator is left as it was.
        **changes
            Fields of `MMMLConfig` other than the published ones.
        """
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            encoders = pretrained_encoders(text, audio)
        sizes = {name: encoder_config(model) for name, model in encoders.items()}
        return cls._seeded(MMMLConfig.official(variant, **(sizes | changes)), seed, encoders)

    @classmethod
    def _seeded(cls, config: MMMLConfig, seed: int, encoders=None) -> "MMML":
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return cls(config, encoders)

    def load_official(self, checkpoint: str | Path | Mapping[str, Tensor]) -> "MMML":
        """Load weights that the authors' program saved, all of them and nothing else.

        Parameters
        ----------
        checkpoint : path or mapping of str to Tensor
            A bare state dict; a file is read without unpickling anything but tensors.

        Returns
        -------
        MMML
            The same.

        Raises
        ------
        ValueError
            If the file holds something else, or a name is missing, unexpected or of another shape:
            the message lists them all.
        """
        fill(self.network, official_state(checkpoint))
        return self

    def encode(self, batch) -> dict[str, Latent]:
        """See `Backbone.encode`; features as in `sure_pyro.backbones.mmml.features`."""
        latents: dict[str, Latent] = {}
        for name in self.modalities:
            tokens = self._tokens(batch, name)
            latents[name] = self.network.pooled(name, tokens) if self.sizes.pooled_only else tokens
        return latents

    def _tokens(self, batch, name: str) -> Tokens:
        x, exists = masked_feature(batch, name)
        if name.startswith("text"):
            tokens = encode_text(self.network.roberta_model, x, exists)
        else:
            tokens = encode_audio(self.network.data2vec_model, x, exists)
        if name.endswith("context"):
            return tokens
        return Tokens(tokens.values, tokens.exists & exists.any(1, keepdim=True))

    def fuse(self, latents) -> Float[Tensor, "B H"]:
        """See `Backbone.fuse`: all of head M but its last layer, which `readout` gives."""
        return self.network.representation(self._checked(latents))

    def readout(self, width: int) -> nn.Linear:
        """See `Backbone.readout`: the last layer of head M."""
        return cast(nn.Linear, self.network.fused_output_layers[-1])

    def outputs(self, latents: Mapping[str, Latent]) -> dict[str, Float[Tensor, "B 1"]]:
        """Sentiment from the text (T), from the audio (A) and from both (M), ``(B, 1)`` each.

        T and A stand on the pooled latents, which here follow from the sequences.
        """
        return self.network.outputs(self._checked(latents))

    def forward(self, batch) -> dict[str, Float[Tensor, "B 1"]]:
        """Outputs of the three heads, from features."""
        return self.outputs(self.encode(batch))

    def _checked(self, latents: Mapping[str, Latent]) -> Mapping[str, Latent]:
        missing = [name for name in self.modalities if name not in latents]
        if missing:
            raise ValueError(f"`latents` must have {self.modalities}; {missing} are missing.")
        ndim = 2 if self.sizes.pooled_only else 3
        wrong = [name for name in self.modalities if values_of(latents[name]).ndim != ndim]
        if wrong:
            form = "pooled latents (B, D)" if ndim == 2 else "sequences (B, L, D)"
            raise ValueError(
                f"{self.sizes.variant!r} takes {form}, as its `encode` gives them; {wrong} are not."
            )
        return latents
