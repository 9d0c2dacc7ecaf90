"""The door of the data room: every check of what comes in, and the words for what is wrong.

Checked once, when a `Batch` is built from outside; inside, batches are trusted.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sure_pyro.data.fields import Modalities, labelled, reference, worded
from sure_pyro.data.masks import Tensors, any_in_row, existing_entries
from sure_pyro.data.names import check_field_names, check_modality_names

TASKS = ("classification", "regression", "multilabel")


def rows_in_words(rows: Tensor, shown: int = 5) -> str:
    """Row numbers of a bool mask ``(B,)``, such as ``rows 3, 17 (2 of 100)``."""
    numbers = rows.nonzero().flatten().tolist()
    listed = ", ".join(map(str, numbers[:shown])) + (", ..." if len(numbers) > shown else "")
    return f"{'row' if len(numbers) == 1 else 'rows'} {listed} ({len(numbers)} of {len(rows)})"


def check_features(features: Any) -> dict[str, Any]:
    """Names, kinds, shapes, numbers of rows and devices of the modalities.

    Returns
    -------
    dict of Tensor, shapes ``(B, *event_i)``, or of dicts of such fields

    Raises
    ------
    TypeError
        If `features` is no mapping from names to tensors of real numbers, or mappings of them.
    ValueError
        If it is empty, a name or a shape is empty, or rows or devices differ.
    """
    if not isinstance(features, Mapping):
        raise TypeError(
            f"`features` must map modality names to tensors; got {type(features).__name__}."
        )
    if not features:
        raise ValueError("`features` is empty: give at least one modality.")
    check_modality_names(features)
    for name, x in features.items():
        _check_modality(name, x)
    tensors = _by_label(features)
    _check_alike({label: len(x) for label, x in tensors.items()}, "number of rows")
    _check_alike({label: str(x.device) for label, x in tensors.items()}, "device")
    return {name: dict(x) if isinstance(x, Mapping) else x for name, x in features.items()}


def _by_label(features: Modalities) -> dict[str, Tensor]:
    pairs = [pair for name, x in features.items() for pair in labelled(name, x).items()]
    twice = sorted(
        label for label, times in Counter(label for label, _ in pairs).items() if times > 1
    )
    if twice:
        raise ValueError(
            f"Two fields would be called {twice} in tables and files, which join a modality and "
            "its field by a dot. Rename a modality or a field."
        )
    return dict(pairs)


def _check_modality(name: str, x: Any) -> None:
    if not isinstance(x, Mapping):
        _check_tensor(f"Modality {name!r}", x, least_ndim=2)
        if x.dtype == torch.bool:
            raise TypeError(
                f"Modality {name!r} must hold real numbers; got torch.bool. "
                "Give 0 and 1, as `x.astype('float32')` or `x.float()` does."
            )
        return
    if not x:
        raise TypeError(
            f"Modality {name!r} must be a tensor, or map the names of its fields to tensors; it "
            "has no fields."
        )
    check_field_names(x, name)
    for words, values in worded(name, x).items():
        _check_tensor(words, values, least_ndim=1)


def _check_tensor(words: str, x: Any, least_ndim: int) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(
            f"{words} must be a tensor; got {type(x).__name__}. "
            "For arrays use `sure_pyro.from_arrays`."
        )
    if x.is_complex():
        raise TypeError(f"{words} must hold real numbers; got {x.dtype}.")
    if x.ndim < least_ndim:
        raise ValueError(
            f"{words} must have shape (rows, ...); got {tuple(x.shape)}. "
            "A single number per row has shape (rows, 1)."
        )
    if x.numel() == 0:
        raise ValueError(f"{words} is empty: its shape is {tuple(x.shape)}.")


def _check_alike(values: Mapping[str, Any], what: str) -> None:
    if len(set(values.values())) > 1:
        listed = ", ".join(f"{name!r}: {value}" for name, value in values.items())
        raise ValueError(f"All modalities must have the same {what}; got {listed}.")


def check_mask(mask: Any, argument: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Raise unless it is a bool tensor of the given shape, on the device of the features."""
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"{argument} must be a bool tensor; got {got}. Make one: `mask == 1`.")
    if tuple(mask.shape) != tuple(shape):
        raise ValueError(
            f"{argument} must have shape {tuple(shape)}; got shape {tuple(mask.shape)}."
        )
    if mask.device != device:
        raise ValueError(f"{argument} is on {mask.device}, the features are on {device}.")
    return mask


def check_available(available: Any, features: Modalities) -> Tensor:
    """``(B, M)``, all True if None."""
    x = reference(features)
    shape = (len(x), len(features))
    if available is None:
        return torch.ones(shape, dtype=torch.bool, device=x.device)
    return check_mask(available, "`available` (rows, modalities)", shape, x.device)


def check_parts(masks: Any, features: Modalities) -> dict[str, Tensor]:
    """Masks ``recorded`` by modality, of the shape of its features."""
    masks = {} if masks is None else dict(masks)
    check_names(masks, "recorded", features)
    for name, mask in masks.items():
        x = features[name]
        if isinstance(x, Mapping):
            raise TypeError(
                f"`recorded[{name!r}]`: a modality of several fields, {list(x)}, is there or not. "
                "Mark its rows in `available`, or make the field of which parts are missing a "
                "modality of its own."
            )
        check_mask(mask, f"`recorded[{name!r}]`", tuple(x.shape), x.device)
    return masks


def check_names(names: Any, argument: str, features: Mapping) -> None:
    """Raise ValueError if `names` holds a modality that the features do not have."""
    unknown = [name for name in names if name not in features]
    if unknown:
        raise ValueError(
            f"`{argument}` names the modalities {unknown}, which the data does not have; "
            f"it has {list(features)}."
        )


def check_finite(
    features: Modalities, available: Tensor, padding: Tensors, recorded: Tensors
) -> None:
    """Raise ValueError if a recorded entry is NaN or infinite."""
    for i, (name, modality) in enumerate(features.items()):
        for words, x in worded(name, modality).items():
            kept = existing_entries(x, available[:, i], padding.get(name))
            if name in recorded:
                kept = kept & recorded[name]
            bad = any_in_row(kept & ~torch.isfinite(x))
            if bad.any():
                raise ValueError(
                    f"{words} has NaN or infinite values although it is marked as available, "
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


def check_rows(
    values: Any, argument: str, features: Modalities, dtype: torch.dtype
) -> Tensor | None:
    """One value of the given dtype per row, ``(B,)``, or None."""
    if values is None:
        return None
    x = reference(features)
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
