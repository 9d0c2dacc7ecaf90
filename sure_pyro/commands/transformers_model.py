"""Any model of ``transformers`` by its folder: its weights, tokenizer and image processor.

What a text or a picture becomes is what the folder says, not what a table here says of the model.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor, nn

from sure_pyro.backbones import Backbone
from sure_pyro.commands.tokenizers import tokenizer_of
from sure_pyro.data.formats import RawDataset, read_mm_imdb
from sure_pyro.models.encode import LOOKED_AT

MOST_TOKENS = 128  # of a text, where `--max-length` does not say


@dataclass(frozen=True)
class ImageProcessor:
    """A picture as an image processor of ``transformers`` makes it, ``(3, H, W)``."""

    processor: Any

    def __call__(self, image: Image.Image) -> Tensor:
        """Process one picture."""
        return self.processor(image, return_tensors="pt")["pixel_values"][0]


@dataclass(frozen=True)
class OwnTokens:
    """Of what a tokenizer gives, the tensors that the model takes, and the mask of its padding."""

    tokenizer: Any
    taken: frozenset[str]

    def __call__(self, texts: list[str]) -> dict[str, Tensor]:
        """Tokenize texts."""
        tokens = self.tokenizer(texts)
        return {k: x for k, x in tokens.items() if k in self.taken or k == "attention_mask"}


def read_for_model(options: argparse.Namespace) -> RawDataset:
    """MM-IMDB, with pictures as the model's image processor makes them."""
    return read_mm_imdb(
        options.data,
        process=ImageProcessor(_image_processor(options.checkpoint)),
        missing_files=options.missing_files,
        on_error=options.on_error,
    )


def build_model(options: argparse.Namespace, data: RawDataset) -> tuple[Backbone, Any]:
    """The model, cut where the first rows tell, and its tokenizer."""
    from sure_pyro.backbones.hugging_face import TransformersBackbone
    from sure_pyro.backbones.hugging_face.inputs import takes

    backbone = TransformersBackbone(
        options.checkpoint, architecture=options.architecture, local_files_only=True
    )
    if set(backbone.modalities) != set(data.channels):
        raise ValueError(
            f"{options.checkpoint} holds a {type(backbone.net).__name__} of "
            f"{', '.join(backbone.modalities)}; {options.dataset} has {', '.join(data.channels)}. "
            "Take a model of these, or use `Backbone.from_transformers` in Python."
        )
    tokenizer = OwnTokens(_tokenizer(options, backbone.net), frozenset(takes(backbone.net)))
    rows = data[list(range(min(LOOKED_AT, len(data))))]
    backbone.prepare(data.to_batch(rows, tokenizer))
    _ = backbone.ready  # the cuts are found now, so that they are saved with the form
    if backbone.config is None:
        raise ValueError(
            f"{options.checkpoint} can not be kept in the run's folder, since its configuration "
            "does not tell its form (quantised or adapted layers). Save the plain model."
        )
    return backbone, tokenizer


def _image_processor(folder: Path) -> Any:
    from transformers import AutoImageProcessor

    try:
        return AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} has no image processor (preprocessor_config.json), which says what becomes "
            "of a picture. Write the model's own there, in Python: "
            "`AutoImageProcessor.from_pretrained(NAME).save_pretrained(FOLDER)`."
        ) from error


def _tokenizer(options: argparse.Namespace, net: nn.Module) -> Any:
    """Tokenizer of the folder, to a length for which the model has positions."""
    tokenizer = tokenizer_of(options, str(options.checkpoint), MOST_TOKENS)
    found = tokenizer.func
    if found.pad_token_id is None:
        raise ValueError(
            f"The tokenizer {options.tokenizer or options.checkpoint} has no token of "
            "padding, so texts of unequal length make no batch: set `tokenizer.pad_token` in "
            "Python and save it again."
        )
    most = min(found.model_max_length, _positions(net))
    if (options.max_length or 0) > most:
        raise ValueError(f"`--max-length` may be at most {most} here; got {options.max_length}.")
    tokenizer.keywords["max_length"] = options.max_length or min(MOST_TOKENS, most)
    return tokenizer


def _positions(net: nn.Module) -> int:
    """Tokens of a text that the model has positions for; `MOST_TOKENS` where they are relative."""
    config: Any = net.config
    positions = getattr(config.get_text_config(), "max_position_embeddings", MOST_TOKENS)
    # Models that count as RoBERTa does start behind the position of padding.
    unused = [
        layer.padding_idx + 1
        for layer in net.modules()
        if isinstance(layer, nn.Embedding)
        and layer.padding_idx is not None
        and layer.num_embeddings == positions
    ]
    return positions - max(unused, default=0)
