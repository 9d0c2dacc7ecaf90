"""What a modality holds: one tensor, or several by name, its fields.

A text encoder takes token numbers and an attention mask, a detector pixels and boxes. A modality is
therefore a tensor ``(B, *event)`` or a mapping of such tensors, all of the same B rows: the fields
of a modality come and go together. Whatever treats both alike goes through `each_field`.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from jaxtyping import Bool
from torch import Tensor

T = TypeVar("T")
Modality = Tensor | Mapping[str, Tensor]
Modalities = Mapping[str, Modality]

ATTENTION_MASK = "attention_mask"
"""The field that, as in transformers, is 1 where a token exists and 0 at padding."""


def each_field(x: Modality, fn: Callable[[Tensor], T]) -> T | dict[str, T]:
    """``fn`` of a tensor, or of every field: in the form that `x` has."""
    if isinstance(x, Mapping):
        return {field: fn(values) for field, values in x.items()}
    return fn(x)


def event_shape(x: Modality) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
    """Shape of one row, or of one row of every field."""
    return each_field(x, lambda v: tuple(v.shape[1:]))


def tensors_of(x: Modality) -> list[Tensor]:
    """Tensors of a modality: one, or one per field."""
    return list(x.values()) if isinstance(x, Mapping) else [x]


def labelled(name: str, x: Modality) -> dict[str, Tensor]:
    """Tensors of a modality by the name that tables and files give them: ``text.input_ids``."""
    if isinstance(x, Mapping):
        return {f"{name}.{field}": values for field, values in x.items()}
    return {name: x}


def worded(name: str, x: Any) -> dict[str, Any]:
    """Tensors of a modality as errors name them: ``Field 'input_ids' of modality 'text'``."""
    if isinstance(x, Mapping):
        return {f"Field {field!r} of modality {name!r}": values for field, values in x.items()}
    return {f"Modality {name!r}": x}


def reference(features: Modalities) -> Tensor:
    """Any tensor of the features: its rows and its device are those of all."""
    return tensors_of(next(iter(features.values())))[0]


def floating_dtype(features: Modalities) -> torch.dtype:
    """Floating dtype of the features: that of the first that is floating, or else float32."""
    tensors = [x for modality in features.values() for x in tensors_of(modality)]
    return next((x.dtype for x in tensors if x.is_floating_point()), torch.float32)


def plain(features: Modalities, name: str, purpose: str) -> Tensor:
    """Tensor of a modality that must not have fields.

    Parameters
    ----------
    features : mapping of str to modality
    name : str
    purpose : str
        What needs a single tensor, as a sentence begins: ``"Standardisation"``.

    Raises
    ------
    TypeError
        If the modality is a mapping of fields.
    """
    x = features[name]
    if isinstance(x, Mapping):
        raise TypeError(
            f"{purpose} needs a modality that is one tensor, but {name!r} has the fields {list(x)}."
            " Leave it out there, or make the field that is meant a modality of its own."
        )
    return x


def tokens_of(x: Tensor, padding: Bool[Tensor, "B L"] | None) -> Bool[Tensor, "B L"] | None:
    """Padding mask of a modality as far as it is one of this tensor: of shape ``(B, L, ...)``."""
    if padding is None or x.ndim < 2 or x.shape[1] != padding.shape[1]:
        return None
    return padding
