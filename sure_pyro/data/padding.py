"""Padding masks of sequences: given, or read from an attention mask among the fields.

A mask is a mask: padding may be on the right, on the left or in between.
"""

from collections.abc import Mapping
from typing import Any

from jaxtyping import Bool
from torch import Tensor

from sure_pyro.data.fields import ATTENTION_MASK, Modalities, Modality, tensors_of, tokens_of
from sure_pyro.data.masks import Tensors
from sure_pyro.data.validate import check_mask, check_names, rows_in_words


def read_padding(padding: Any, features: Modalities, available: Tensor) -> dict[str, Tensor]:
    """Padding masks by modality, ``(B, L_i)``.

    Where a modality has a field ``attention_mask`` and no mask is given, the field is the mask.

    Raises
    ------
    TypeError, ValueError
        If a mask is none or fits no field, if it says other than the attention mask, or if an
        available sequence has no token at all.
    """
    masks = {} if padding is None else dict(padding)
    check_names(masks, "padding", features)
    for name, mask in masks.items():
        _check_fits(name, mask, features[name])
    attention = {name: attention_mask(x, name) for name, x in features.items()}
    read = {name: mask for name, mask in attention.items() if mask is not None}
    _check_agree(masks, read, list(features), available)
    masks = read | masks
    _check_lengths(available, features, masks)
    return masks


def attention_mask(x: Modality, name: str) -> Bool[Tensor, "B L"] | None:
    """Which tokens exist by the field ``attention_mask``; None where there is none ``(B, L)``.

    Raises
    ------
    ValueError
        If it holds anything but 0 and 1.
    """
    mask = x.get(ATTENTION_MASK) if isinstance(x, Mapping) else None
    if mask is None or mask.ndim != 2:  # (B, L, L) and such say which token sees which
        return None
    exists = mask != 0
    other = mask[exists.to(mask) != mask]
    if len(other):
        raise ValueError(
            f"Field {ATTENTION_MASK!r} of modality {name!r} must be 1 where a token exists and 0 "
            f"at padding; it holds {other[0].item():g}. If it means something else, call it by "
            "another name."
        )
    return exists


def _check_fits(name: str, mask: Any, x: Modality) -> None:
    argument = f"`padding[{name!r}]`"
    first = tensors_of(x)[0]
    if isinstance(x, Tensor):
        check_mask(mask, argument, tuple(x.shape[:2]), x.device)
        return
    length = tuple(mask.shape[1:]) if isinstance(mask, Tensor) else ()
    check_mask(mask, argument, (len(first), *length), first.device)
    if mask.ndim != 2 or all(tokens_of(v, mask) is None for v in x.values()):
        shapes = {field: tuple(v.shape) for field, v in x.items()}
        raise ValueError(
            f"{argument} must have the shape (rows, L) of one of the fields of {name!r}; got "
            f"{tuple(mask.shape)}, and the fields have {shapes}."
        )


def _check_agree(given: Tensors, read: Tensors, modalities: list[str], available: Tensor) -> None:
    """The length of an absent sequence is not known, so absent rows are left out."""
    for name in given.keys() & read.keys():
        mask = read[name]
        there = available[:, modalities.index(name)]
        differ = (given[name] != mask).any(1) & there if given[name].shape == mask.shape else there
        if differ.any():
            raise ValueError(
                f"`padding[{name!r}]` and the field {ATTENTION_MASK!r} of {name!r} differ in "
                f"{rows_in_words(differ)}. Give one of them only."
            )


def _check_lengths(available: Tensor, features: Modalities, padding: Tensors) -> None:
    """Raise ValueError if an available sequence has no token at all: few encoders take one."""
    for i, name in enumerate(features):
        if name in padding:
            empty = available[:, i] & ~padding[name].any(1)
            if empty.any():
                raise ValueError(
                    f"Sequence {name!r} is available but `padding` leaves no token in "
                    f"{rows_in_words(empty)}. Mark it as absent there: available=False."
                )
