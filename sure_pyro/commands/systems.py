"""The systems by name: which dataset each reads, and how its backbone is built."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sure_pyro.backbones import Backbone
from sure_pyro.commands.tokenizers import tokenizer_of
from sure_pyro.commands.transformers_model import build_model, read_for_model
from sure_pyro.data.formats import RawDataset, read_mm_imdb, read_mmact, read_mosi

if TYPE_CHECKING:
    from sure_pyro.backbones.mmml import MMMLConfig

TINY_PICTURES = {"resize": 40, "crop": 33}


@dataclass(frozen=True)
class System:
    """How a system comes from options.

    Parameters
    ----------
    dataset : str
        The one that it reads.
    read : callable
        From options to the dataset.
    build : callable
        From options and dataset to the backbone and the tokenizer of its texts.
    """

    dataset: str
    read: Callable[[argparse.Namespace], RawDataset]
    build: Callable[[argparse.Namespace, RawDataset], tuple[Backbone, Any]]


def read_sentiment(options: argparse.Namespace) -> RawDataset:
    """CMU-MOSI or one of its form, with the utterances before where the variant sees them."""
    return read_mosi(
        options.data,
        context=_variant(options).endswith("_context"),
        seconds=1.0 if options.tiny else 6.0,
        resample=options.resample,
        missing_files=options.missing_files,
        on_error=options.on_error,
    )


def build_mmml(options: argparse.Namespace, data: RawDataset) -> tuple[Backbone, Any]:
    """MMML, and the tokenizer of its RoBERTa."""
    from sure_pyro.backbones.mmml import MMML

    variant = _variant(options)
    if options.tiny:
        return MMML.tiny(variant), tokenizer_of(options, "", 96)
    name = "roberta-large" if variant.endswith("_context") else "roberta-base"
    sizes = _sizes(variant, options.config)
    return MMML.from_official(options.checkpoint, sizes), tokenizer_of(options, name, 96)


def _sizes(variant: str, file: Path | None) -> MMMLConfig:
    """Published sizes of a variant, or those of a file, which must be of this variant."""
    from sure_pyro.backbones.mmml import MMMLConfig

    if file is None:
        return MMMLConfig.official(variant)
    try:
        sizes = MMMLConfig.read(file)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"`--config {file}` holds no sizes of MMML: {error}") from error
    if sizes.variant != variant:
        raise ValueError(f"`--config {file}` is of the variant {sizes.variant}; got {variant}.")
    return sizes


def read_films(options: argparse.Namespace) -> RawDataset:
    """MM-IMDB."""
    sizes: dict[str, Any] = TINY_PICTURES if options.tiny else {}
    return read_mm_imdb(
        options.data, missing_files=options.missing_files, on_error=options.on_error, **sizes
    )


def build_mmbt(options: argparse.Namespace, data: RawDataset) -> tuple[Backbone, Any]:
    """MMBT, and the tokenizer of its BERT, which leaves [CLS], [SEP] and segments to MMBT."""
    from sure_pyro.backbones.mmbt import MMBT

    N = options.num_image_embeds
    tokenizer = tokenizer_of(
        options, "bert-base-uncased", 128, add_special_tokens=False, return_token_type_ids=False
    )
    if options.tiny:
        return MMBT.tiny(len(data.class_names or ()), N), tokenizer
    special = {"cls_id": tokenizer.func.cls_token_id, "sep_id": tokenizer.func.sep_token_id}
    return MMBT.from_checkpoint(options.checkpoint, N, **special), tokenizer


def read_actions(options: argparse.Namespace) -> RawDataset:
    """MMAct."""
    sizes: dict[str, Any] = {"frames": 4, "windows": 6, **TINY_PICTURES} if options.tiny else {}
    return read_mmact(
        options.data,
        protocol=options.protocol,
        modalities=options.modalities,
        on_error=options.on_error,
        **sizes,
    )


def build_hamlet(options: argparse.Namespace, data: RawDataset) -> tuple[Backbone, Any]:
    """HAMLET for the modalities of the data, and no tokenizer."""
    from sure_pyro.backbones.hamlet import HAMLET
    from sure_pyro.backbones.mmbt.checkpoint import read_weights

    sizes: dict[str, Any] = {"width": options.width}
    if options.tiny:
        sizes = {"width": 8, "blocks": [1, 1, 1, 1], "resnet_width": 2}
    backbone = HAMLET.for_data(data.to_batch([data[0]]), len(data.class_names or ()), **sizes)
    if not options.tiny:
        try:
            backbone.load_state_dict(read_weights(options.checkpoint))
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{options.checkpoint} does not hold the weights of HAMLET for these modalities "
                f"at `--width {options.width}`: {reason}"
            ) from error
    return backbone, None


SYSTEMS = {
    "mmml": System("mosi", read_sentiment, build_mmml),
    "mmbt": System("mm-imdb", read_films, build_mmbt),
    "hamlet": System("mmact", read_actions, build_hamlet),
    "transformers": System("mm-imdb", read_for_model, build_model),
}
DATASETS = tuple(dict.fromkeys(system.dataset for system in SYSTEMS.values()))


def _variant(options: argparse.Namespace) -> str:
    from sure_pyro.backbones.mmml.config import VARIANTS

    if options.variant not in VARIANTS:
        raise ValueError(
            f"`--variant` must be one of {', '.join(VARIANTS)}; got {options.variant}."
        )
    return options.variant
