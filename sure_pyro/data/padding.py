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


def check_padding(padding: Any, features: Modalities, available: Tensor) -> dict[str, Tensor]:
    """Padding masks by modality, ``(B, L_i)``, of a batch.

    Raises
    ------
    TypeError, ValueError
        As `find_padding`; also if a mask says other than the attention mask, or if an available
        sequence has no token at all.
    """
    masks = find_padding(padding, features)
    for i, (name, x) in enumerate(features.items()):
        attention = attention_mask(x, name)
        if attention is not None:
            _check_agree(name, masks[name], attention, available[:, i])
    _check_lengths(available, features, masks)
    return masks


def find_padding(padding: Any, features: Modalities) -> dict[str, Tensor]:
    """Padding masks by modality, given or, where none is, the field ``attention_mask``.

    Raises
    ------
    TypeError, ValueError
        If a mask is none or fits no field, or a modality is unknown.
    """
    masks = {} if padding is None else dict(padding)
    check_names(masks, "padding", features)
    for name, mask in masks.items():
        _check_fits(name, mask, features[name])
    attention = {name: attention_mask(x, name) for name, x in features.items()}
    return {name: mask for name, mask in attention.items() if mask is not None} | masks


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


def _check_agree(name: str, given: Tensor, attention: Tensor, available: Tensor) -> None:
    """The length of an absent sequence is not known, so absent rows are left out."""
    alike = given.shape == attention.shape
    differ = (given != attention).any(1) & available if alike else available
    if differ.any():
        raise ValueError(
            f"`padding[{name!r}]` and the field {ATTENTION_MASK!r} of {name!r} differ in "
            f"{rows_in_words(differ)}. Give one of them only."
        )


def _check_lengths(available: Tensor, features: Modalities, padding: Tensors) -> None:
    """Raise ValueError if an available sequence has no token at all: few encoders take one."""
    for i, (name, x) in enumerate(features.items()):
        if name in padding:
            empty = available[:, i] & ~padding[name].any(1)
            if empty.any():
                by = "`padding`" if attention_mask(x, name) is None else f"its {ATTENTION_MASK}"
                raise ValueError(
                    f"Sequence {name!r} is available but {by} leaves no token in "
                    f"{rows_in_words(empty)}. Mark it as absent there: available=False."
                )
