"""The door of the data room: every check of what comes in, and the words for what is wrong.

Checked once, when a `Batch` is built from outside; inside, batches are trusted.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sure_pyro.data.masks import Tensors, existing_entries

TASKS = ("classification", "regression", "multilabel")


def rows_in_words(rows: Tensor, shown: int = 5) -> str:
    """Row numbers of a bool mask ``(B,)``, such as ``rows 3, 17 (2 of 100)``."""
    numbers = rows.nonzero().flatten().tolist()
    listed = ", ".join(map(str, numbers[:shown])) + (", ..." if len(numbers) > shown else "")
    return f"{'row' if len(numbers) == 1 else 'rows'} {listed} ({len(numbers)} of {len(rows)})"


def check_features(features: Any) -> dict[str, Tensor]:
    """Names, kinds, shapes, numbers of rows and devices of the modalities.

    Returns
    -------
    dict of Tensor, shapes ``(B, *event_i)``

    Raises
    ------
    TypeError
        If `features` is no mapping from names to tensors of real numbers.
    ValueError
        If it is empty, a name or a shape is empty, or rows or devices differ.
    """
    if not isinstance(features, Mapping):
        raise TypeError(
            f"`features` must map modality names to tensors; got {type(features).__name__}."
        )
    if not features:
        raise ValueError("`features` is empty: give at least one modality.")
    for name, x in features.items():
        _check_modality(name, x)
    _check_alike({name: len(x) for name, x in features.items()}, "number of rows")
    _check_alike({name: str(x.device) for name, x in features.items()}, "device")
    return dict(features)


def _check_modality(name: Any, x: Any) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"Modality names must be non-empty strings; got {name!r}.")
    if not isinstance(x, Tensor):
        raise TypeError(
            f"Modality {name!r} must be a tensor; got {type(x).__name__}. "
            "For arrays use `sure_pyro.from_arrays`."
        )
    if x.dtype == torch.bool or x.is_complex():
        raise TypeError(f"Modality {name!r} must hold real numbers; got {x.dtype}.")
    if x.ndim < 2:
        raise ValueError(
            f"Modality {name!r} must have shape (rows, ...); got {tuple(x.shape)}. "
            "A single number per row has shape (rows, 1)."
        )
    if x.numel() == 0:
        raise ValueError(f"Modality {name!r} is empty: its shape is {tuple(x.shape)}.")


def _check_alike(values: Mapping[str, Any], what: str) -> None:
    if len(set(values.values())) > 1:
        listed = ", ".join(f"{name!r}: {value}" for name, value in values.items())
        raise ValueError(f"All modalities must have the same {what}; got {listed}.")


def check_mask(mask: Any, argument: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Raise unless it is a bool tensor of the given shape, on the device of the features."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"{argument} must be a bool tensor; got {got}.")
    if tuple(mask.shape) != tuple(shape):
        raise ValueError(
            f"{argument} must have shape {tuple(shape)}; got shape {tuple(mask.shape)}."
        )
    if mask.device != device:
        raise ValueError(f"{argument} is on {mask.device}, the features are on {device}.")
    return mask


def check_available(available: Any, features: Tensors) -> Tensor:
    """``(B, M)``, all True if None."""
    x = next(iter(features.values()))
    shape = (len(x), len(features))
    if available is None:
        return torch.ones(shape, dtype=torch.bool, device=x.device)
    return check_mask(available, "`available` (rows, modalities)", shape, x.device)


def check_parts(masks: Any, argument: str, features: Tensors, ndim: int | None) -> Tensors:
    """Masks by modality; their shape is that of the features, cut after `ndim` dimensions."""
    masks = {} if masks is None else dict(masks)
    check_names(masks, argument, features)
    for name, mask in masks.items():
        x = features[name]
        check_mask(mask, f"`{argument}[{name!r}]`", tuple(x.shape[:ndim]), x.device)
    return masks


def check_names(names: Any, argument: str, features: Mapping) -> None:
    """Raise ValueError if `names` holds a modality that the features do not have."""
    unknown = [name for name in names if name not in features]
    if unknown:
        raise ValueError(
            f"`{argument}` names the modalities {unknown}, which the data does not have; "
            f"it has {list(features)}."
        )


def check_lengths(available: Tensor, features: Tensors, padding: Tensors) -> None:
    """Raise ValueError if an available sequence has no token at all."""
    for i, name in enumerate(features):
        if name in padding:
            empty = available[:, i] & ~padding[name].any(1)
            if empty.any():
                raise ValueError(
                    f"Sequence {name!r} is available but `padding` leaves no token in "
                    f"{rows_in_words(empty)}. Mark it as absent there: available=False."
                )


def check_finite(features: Tensors, available: Tensor, padding: Tensors, recorded: Tensors) -> None:
    """Raise ValueError if a recorded entry is NaN or infinite."""
    for i, (name, x) in enumerate(features.items()):
        kept = existing_entries(x, available[:, i], padding.get(name))
        if name in recorded:
            kept = kept & recorded[name]
        bad = (kept & ~torch.isfinite(x)).flatten(1).any(1)
        if bad.any():
            raise ValueError(
                f"Modality {name!r} has NaN or infinite values although it is marked as available, "
                f"in {rows_in_words(bad)}. If NaN means that a value was not recorded, say so: "
                "`from_arrays(..., nan='missing')`."
            )


def check_some_available(available: Tensor, allow_empty: bool = False) -> None:
    """Raise ValueError if a row has no available modality."""
    empty = ~available.any(1)
    if not allow_empty and empty.any():
        raise ValueError(
            f"No modality is available in {rows_in_words(empty)}. Leave these rows out, or give "
            "`allow_empty=True` if they are meant."
        )


def check_rows(values: Any, argument: str, features: Tensors, dtype: torch.dtype) -> Tensor | None:
    """One value of the given dtype per row, ``(B,)``, or None."""
    if values is None:
        return None
    x = next(iter(features.values()))
    if not isinstance(values, Tensor) or values.dtype != dtype:
        got = values.dtype if isinstance(values, Tensor) else type(values).__name__
        raise TypeError(f"`{argument}` must be a tensor of {dtype}; got {got}.")
    if tuple(values.shape) != (len(x),):
        raise ValueError(
            f"`{argument}` must have one entry per row, shape ({len(x)},); "
            f"got {tuple(values.shape)}."
        )
    if values.device != x.device:
        raise ValueError(f"`{argument}` is on {values.device}, the features are on {x.device}.")
    return values
