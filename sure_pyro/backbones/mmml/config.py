"""Sizes of an MMML model: six variants, from the published widths down to a tiny one."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

OFFICIAL_NAMES = {
    "cc": "concatenation",
    "cme_v1": "cross_modal_v1",
    "cme_v2": "cross_modal_v2",
    "cme_v3": "cross_modal_v3",
    "cc_context": "concatenation_context",
    "cme_context": "cross_modal_context",
}
"""What the authors' program calls the variants, and what they are called here."""

VARIANTS = tuple(OFFICIAL_NAMES.values())

_ROBERTA = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
}
_ROBERTA_IDS = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}


@dataclass(frozen=True)
class MMMLConfig:
    """Everything from which an `MMML` is built, in values that JSON can hold.

    Parameters
    ----------
    variant : str
        One of `VARIANTS`. ``concatenation`` joins the pooled latents; ``cross_modal_v1`` joins the
        class tokens of the cross-modal layers, ``_v2`` mixes them with the pooled latents, ``_v3``
        mixes whole sequences by transformers; ``_context`` sees the utterances before as well.
    text, audio : dict
        Keywords of ``RobertaConfig`` and ``Data2VecAudioConfig`` of transformers.
    num_layers, num_heads, intermediate_size : int
        Of the cross-modal layers.
    mixer_size : int
        Width of the feed-forward layers of the transformers of ``cross_modal_v3``.
    dropout : float
        Of the cross-modal layers and the heads.
    hidden : sequence of int, optional
        Widths of the hidden layers of head M; by default in the published proportion.

    Raises
    ------
    ValueError
        If the variant is unknown, or the widths do not fit together.
    """

    variant: str
    text: dict[str, Any]
    audio: dict[str, Any]
    num_layers: int = 5
    num_heads: int = 12
    intermediate_size: int = 3072
    mixer_size: int = 2048
    dropout: float = 0.3
    hidden: Sequence[int] | None = None

    def __post_init__(self):
        if self.variant not in VARIANTS:
            raise ValueError(f"`variant` must be one of {VARIANTS}; got {self.variant!r}.")
        for name in ("text", "audio"):
            if "hidden_size" not in getattr(self, name):
                raise ValueError(f"`{name}` needs 'hidden_size'; got {getattr(self, name)}.")
        hidden = self.hidden or official_hidden(self.variant, self.text_width)
        object.__setattr__(self, "hidden", tuple(hidden))
        if not self.pooled_only and self.text_width != self.audio_width:
            raise ValueError(
                f"{self.variant!r} needs text and audio latents of one width, since they attend to "
                f"each other; got text {self.text_width} and audio {self.audio_width}."
            )
        if not self.pooled_only and self.text_width % self.num_heads:
            raise ValueError(
                f"`num_heads` must divide the width of the latents, {self.text_width}; "
                f"got {self.num_heads}."
            )

    @property
    def context(self) -> bool:
        """Whether the utterances before are inputs too."""
        return self.variant.endswith("_context")

    @property
    def pooled_only(self) -> bool:
        """Whether the latents are pooled vectors instead of sequences."""
        return self.variant.startswith("concatenation")

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return ("text", "audio", "text_context", "audio_context")[: 4 if self.context else 2]

    @property
    def text_width(self) -> int:
        """D of the text latents."""
        return int(self.text["hidden_size"])

    @property
    def audio_width(self) -> int:
        """D of the audio latents."""
        return int(self.audio["hidden_size"])

    def to_dict(self) -> dict[str, Any]:
        """Values that JSON can hold, and that build the same again: ``MMMLConfig(**values)``."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def official(cls, variant: str, **changes: Any) -> "MMMLConfig":
        """Published sizes of a variant.

        Without context roberta-base and data2vec-audio-base; with context roberta-large and
        data2vec-audio-base (concatenation) or data2vec-audio-large-960h (cross-modal).
        """
        large = variant.endswith("_context")
        cross_large = variant == "cross_modal_context"
        sizes: dict[str, Any] = {
            "text": _roberta("large" if large else "base"),
            "audio": _encoder("large" if cross_large else "base") | {"layerdrop": 0.05},
        }
        if cross_large:
            sizes |= {"num_heads": 16, "intermediate_size": 4096}
        return cls(variant, **(sizes | changes))

    @classmethod
    def tiny(cls, variant: str = "cross_modal_v1", **changes: Any) -> "MMMLConfig":
        """Sizes for tests and teaching: a few ten thousand parameters, 100 token ids."""
        text = {"vocab_size": 100, "hidden_size": 16, "num_hidden_layers": 1}
        text |= {"num_attention_heads": 2, "intermediate_size": 32, "max_position_embeddings": 66}
        audio: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 1}
        audio |= {"num_attention_heads": 2, "conv_dim": [8] * 7}
        audio |= {"intermediate_size": 32, "num_conv_pos_embedding_groups": 4}
        audio |= {"mask_time_length": 1, "mask_time_min_masks": 0}  # SpecAugment on short clips
        sizes: dict[str, Any] = {"text": text | _ROBERTA_IDS, "audio": audio}
        sizes |= {"num_layers": 2, "num_heads": 2, "intermediate_size": 32, "mixer_size": 32}
        return cls(variant, **(sizes | changes))

    @classmethod
    def read(cls, source: str | Path | Mapping[str, Any]) -> "MMMLConfig":
        """Sizes of a model of the authors' program, as a JSON file or what it holds.

        Parameters
        ----------
        source : path or mapping
            With ``variant`` (an official name such as ``cme_v1``, or a name from here),
            ``roberta``, ``data2vec_audio`` (keywords of the configurations of transformers),
            ``num_cross_modal_layers`` and ``cross_modal``.

        Raises
        ------
        ValueError
            If a key is missing, or the variant unknown.
        """
        values: Mapping[str, Any] = (
            source if isinstance(source, Mapping) else json.loads(Path(source).read_text())
        )
        missing = [key for key in ("variant", "roberta", "data2vec_audio") if key not in values]
        if missing:
            raise ValueError(f"The sizes of an MMML need {missing}; got {sorted(values)}.")
        layers = values.get("cross_modal") or {}
        sizes = {
            "num_layers": values.get("num_cross_modal_layers"),
            "num_heads": layers.get("attention_heads"),
            "intermediate_size": layers.get("intermediate_size"),
            "dropout": layers.get("dropout"),
        }
        return cls(
            OFFICIAL_NAMES.get(values["variant"], values["variant"]),
            dict(values["roberta"]),
            dict(values["data2vec_audio"]),
            **{key: value for key, value in sizes.items() if value is not None},
        )


def official_hidden(variant: str, width: int) -> tuple[int, ...]:
    """Widths of the hidden layers of head M, for text latents of the given width.

    Published: 768, 768, 512 (concatenation) and 768, 512 (cross-modal) at width 768; with context
    2048, 1024 (concatenation) and 768 (cross-modal) at width 1024. The 512 do not scale.
    """
    if variant == "concatenation":
        return (width, width, 512)
    if variant == "concatenation_context":
        return (2 * width, width)
    if variant == "cross_modal_context":
        return (width * 768 // 1024,)
    return (width, 512)


def _encoder(size: str) -> dict[str, Any]:
    sizes = _ROBERTA[size]
    return sizes | {"intermediate_size": 4 * sizes["hidden_size"]}


def _roberta(size: str) -> dict[str, Any]:
    positions = {"vocab_size": 50265, "max_position_embeddings": 514, "layer_norm_eps": 1e-5}
    return _encoder(size) | positions | _ROBERTA_IDS
