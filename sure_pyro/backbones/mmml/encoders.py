"""The two encoders of MMML, from transformers: RoBERTa for text, Data2Vec-audio for waveforms.

Both are called with 0/1 masks and give sequences with masks of their own. Transformers is imported
when an encoder is built, so that the package loads without it.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sure_pyro.backbones.seam import Tokens

Encoder = Any
"""A model of transformers, whose types are not known before it is imported."""


def text_encoder(config: Mapping[str, Any]) -> Encoder:
    """RoBERTa with random weights, from keywords of ``RobertaConfig``."""
    hf = transformers()
    return hf.RobertaModel(hf.RobertaConfig(**config))


def audio_encoder(config: Mapping[str, Any]) -> Encoder:
    """Data2Vec-audio with random weights, from keywords of ``Data2VecAudioConfig``."""
    hf = transformers()
    return hf.Data2VecAudioModel(hf.Data2VecAudioConfig(**config))


def transformers():
    """Transformers, or the word on how to get it."""
    try:
        import transformers as hf
    except ImportError as error:
        raise ImportError(
            "The encoders of MMML are those of transformers: pip install 'sure-pyro[hf]'."
        ) from error
    return hf


def encode_text(roberta: Encoder, ids: Int[Tensor, "B L"], mask: Bool[Tensor, "B L"]) -> Tokens:
    """Last hidden states of RoBERTa, ``(B, L, D)``, and which of them are tokens.

    What is stored under the mask has no effect: the id of padding, from which RoBERTa counts the
    positions, is put there. A row without any token is what the tokenizer makes of an empty text,
    the tokens of start and end.

    Raises
    ------
    ValueError
        If there are more tokens than positions, or an id is not in the vocabulary.
    """
    _check_ids(roberta.config, ids)
    ids = ids.masked_fill(~mask, roberta.config.pad_token_id)
    empty = ids.new_full(ids.shape[1:], roberta.config.pad_token_id)  # (L,)
    ends = torch.tensor([roberta.config.bos_token_id, roberta.config.eos_token_id])
    empty[:2] = ends[: len(empty)].to(empty)
    nothing = ~mask.any(1, keepdim=True)  # (B, 1)
    ids = torch.where(nothing, empty, ids)
    mask = torch.where(nothing, torch.arange(len(empty), device=mask.device) < 2, mask)
    output = roberta(input_ids=ids, attention_mask=mask.long())
    return Tokens(output.last_hidden_state, mask)


def encode_audio(
    data2vec: Encoder, waveform: Float[Tensor, "B T"], mask: Bool[Tensor, "B T"]
) -> Tokens:
    """Last hidden states of Data2Vec, one per frame, and which frames lie in the waveform.

    Raises
    ------
    ValueError
        If the waveforms, padding included, are too short for one frame.
    """
    _check_length(data2vec, waveform.shape[1])
    output = data2vec(input_values=waveform, attention_mask=mask.long())
    frames = output.last_hidden_state
    return Tokens(frames, frame_mask(data2vec, mask, frames.shape[1]))


def frame_mask(
    data2vec: Encoder, mask: Bool[Tensor, "B T"], num_frames: int
) -> Bool[Tensor, "B L"]:
    """Frames that Data2Vec attends to, ``(B, L)``, from the samples that exist, ``(B, T)``.

    A frame exists if the samples that it is made of do. This is what the authors' program finds by
    counting the attention weights that are not zero, without having to see them, which today's
    attention kernels do not return. A waveform too short for one frame makes all frames exist, or
    all but the last if it has no sample at all: the encoder does attend to them.
    """
    return data2vec._get_feature_vector_attention_mask(num_frames, mask.long())


def masked_mean(tokens: Tokens) -> Float[Tensor, "B D"]:
    """Mean over the tokens that exist; zero where none does."""
    weights = tokens.exists.to(tokens.values).unsqueeze(-1)  # (B, L, 1)
    return (tokens.values * weights).sum(1) / weights.sum(1).clamp(min=1)


def _check_ids(config: Any, ids: Tensor) -> None:
    room = config.max_position_embeddings - config.pad_token_id - 1  # where positions start
    if ids.shape[1] > room:
        raise ValueError(f"The text encoder has {room} positions; got {ids.shape[1]} tokens.")
    if ids.numel() and (ids.min() < 0 or ids.max() >= config.vocab_size):
        raise ValueError(
            f"The ids in the vocabulary of the text encoder are 0..{config.vocab_size - 1}; "
            f"got {ids.min()} to {ids.max()}. Use the tokenizer that belongs to it."
        )


def _check_length(data2vec: Encoder, num_samples: int) -> None:
    needed, stride = 1, 1  # samples that one frame is made of
    for kernel, step in zip(data2vec.config.conv_kernel, data2vec.config.conv_stride, strict=True):
        needed, stride = needed + (kernel - 1) * stride, stride * step
    if num_samples < needed:
        raise ValueError(
            f"The audio encoder makes one frame of {needed} samples; got {num_samples}. Pad the "
            "waveforms with zeros, and say so in the mask."
        )
