"""Tokenizers of the systems: that of a folder or a name, and letters for a tiny system."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

TINY_LENGTH = 12  # tokens of a text


def tokenizer_of(options: argparse.Namespace, name: str, length: int, **form: Any) -> Any:
    """The tokenizer of a folder, else of the encoder's name; of a tiny system, characters.

    Raises
    ------
    ValueError
        If there is none, or the folder does not hold its vocabulary.
    """
    if options.tiny:
        return characters
    from transformers import AutoTokenizer

    where = str(options.tokenizer or name)
    advice = (
        f"The tokenizer {where} can not be loaded: give the folder of one that "
        "`save_pretrained` wrote, by `--tokenizer FOLDER`."
    )
    try:
        found: Any = AutoTokenizer.from_pretrained(where, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{advice} {error}") from error
    # From a folder that has the model's config.json alone, a tokenizer without words is built.
    files = list(found.vocab_files_names.values()) or ["tokenizer_config.json"]
    if Path(where).is_dir() and not any((Path(where) / file).is_file() for file in files):
        raise ValueError(f"{advice} It holds none of {', '.join(files)}.")
    return partial(
        found,
        padding="max_length",
        truncation=True,
        max_length=options.max_length or length,
        return_tensors="pt",
        **form,
    )


def characters(texts: list[str]) -> dict[str, Tensor]:
    """Tokens of a tiny system: one per character, of sixty, cut and filled up to one length."""
    ids = torch.zeros(len(texts), TINY_LENGTH, dtype=torch.int64)
    for row, text in zip(ids, texts, strict=True):
        cut = [3 + ord(letter) % 60 for letter in text[:TINY_LENGTH]]
        row[: len(cut)] = torch.tensor(cut, dtype=torch.int64)
    return {"input_ids": ids, "attention_mask": (ids > 0).long()}
