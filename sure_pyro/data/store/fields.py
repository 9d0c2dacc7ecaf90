"""The door of the store: what an encoder gives for some rows, checked, in the store's layout."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sure_pyro.data.store.layout import AVAILABLE, PADDING, SPLITS, VALUES, Tensors
from sure_pyro.data.validate import rows_in_words

FIELDS = ("values", "available", "padding", "target", "group", "split", "rows")
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def to_rows(
    fields: Any,
    numbers: Sequence[int],
    lengths: Mapping[str, int],
    dtype: torch.dtype | None,
) -> Tensors:
    """Rows of the store, from what an encoder gave.

    Parameters
    ----------
    fields : mapping
        As `LatentStore.create` says of `encode`.
    numbers : sequence of int
        The rows of the dataset that were asked for.
    lengths : mapping of str to int
        L of padded sequences: shorter ones are filled up.
    dtype : torch.dtype or None
        Of the values; as they come if None.

    Raises
    ------
    TypeError, ValueError
        If the fields are not as described, or an available value is NaN or infinite, also after it
        was brought to `dtype`.
    """
    _check_fields(fields)
    source = _source(fields, numbers)
    values = {name: _as_sequence(name, z, len(source)) for name, z in fields["values"].items()}
    rows: Tensors = {}
    for i, (name, z) in enumerate(values.items()):
        padding = _mask(fields.get("padding"), "padding", name, i, z, None)
        available = _mask(fields.get("available"), "available", name, i, z, padding)
        if name in lengths:
            z, available, padding = _fill_up(name, z, available, padding, lengths[name])
        rows[VALUES + name] = _recorded(name, z, available, dtype)
        rows[AVAILABLE + name] = available
        if padding is not None:
            rows[PADDING + name] = padding
    return rows | _per_row(fields, len(source)) | {"source": source}


def is_sequence(fields: Mapping[str, Any]) -> frozenset[str]:
    """Modalities whose latents came as sequences ``(B, L, D)``."""
    return frozenset(name for name, z in fields["values"].items() if z.ndim == 3)


def _check_fields(fields: Any) -> None:
    if not isinstance(fields, Mapping) or not isinstance(fields.get("values"), Mapping):
        raise TypeError(
            "`encode` must return a mapping with 'values', latents by modality; got "
            f"{list(fields) if isinstance(fields, Mapping) else type(fields).__name__}."
        )
    unknown = [key for key in fields if key not in FIELDS]
    if unknown or not fields["values"]:
        raise ValueError(
            f"`encode` must return {FIELDS}, all but 'values' if they are there; got "
            f"{list(fields)}, with {list(fields['values'])} as modalities."
        )
    for argument in ("available", "padding"):
        masks = fields.get(argument)
        if isinstance(masks, Mapping) and not set(masks) <= set(fields["values"]):
            raise ValueError(
                f"`{argument}` names {list(masks)}; the modalities are {list(fields['values'])}."
            )


def _source(fields: Mapping[str, Any], numbers: Sequence[int]) -> Tensor:
    """Which of the rows asked for came back."""
    rows = fields.get("rows")
    source = torch.as_tensor(numbers if rows is None else rows, dtype=torch.int64)
    strange = sorted(set(source.tolist()) - set(numbers))
    if strange or len(set(source.tolist())) < len(source):
        raise ValueError(
            "`rows` must be different rows of those that `encode` was asked for; got "
            f"{source.tolist()[:5]} for {list(numbers)[:5]}."
        )
    return source


def _as_sequence(name: Any, z: Any, B: int) -> Tensor:
    if not isinstance(name, str) or not name or "/" in name:
        raise ValueError(f"Modality names must be non-empty texts without '/'; got {name!r}.")
    if not isinstance(z, Tensor) or z.dtype not in FLOATS:
        got = z.dtype if isinstance(z, Tensor) else type(z).__name__
        raise TypeError(f"Latents of {name!r} must be floating tensors; got {got}.")
    if z.ndim not in (2, 3) or len(z) != B or 0 in z.shape[1:]:
        raise ValueError(
            f"Latents of {name!r} must have shape ({B}, D) or ({B}, L, D); got {tuple(z.shape)}. "
            "If rows were left out, say which are there: 'rows'."
        )
    return (z if z.ndim == 3 else z.unsqueeze(1)).detach().cpu()


def _mask(masks: Any, argument: str, name: str, i: int, z: Tensor, padding: Tensor | None):
    """Mask of a modality ``(B, L)``: of its own, a column of all, or what is true without one."""
    B, L = z.shape[:2]
    exists = None if padding is None else padding.clone()
    if masks is None or (isinstance(masks, Mapping) and name not in masks):
        return exists if argument == "padding" or exists is not None else torch.ones(B, L).bool()
    mask = masks[name] if isinstance(masks, Mapping) else masks[:, i]
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        raise TypeError(f"`{argument}` of {name!r} must be a bool tensor; got {mask!r:.60}.")
    mask = mask.detach().cpu()
    if argument == "available" and mask.ndim == 1 and len(mask) == B:
        mask = mask.unsqueeze(1) & (torch.ones(B, L).bool() if exists is None else exists)
    if tuple(mask.shape) != (B, L):
        raise ValueError(
            f"`{argument}` of {name!r} must have shape {(B, L)}; got {tuple(mask.shape)}."
        )
    if exists is not None and (mask & ~exists).any():
        beyond = (mask & ~exists).any(1)
        raise ValueError(
            f"`available` of {name!r} is True where `padding` says that there is no token, in "
            f"{rows_in_words(beyond)}."
        )
    return mask


def _fill_up(name: str, z: Tensor, available: Tensor, padding: Tensor | None, L: int):
    """Longer tensors, in which the new tokens are padding; an absent sequence has no length."""
    more = L - z.shape[1]
    if more < 0:
        raise ValueError(
            f"Latents of {name!r} have {z.shape[1]} tokens, the store has room for {L}: give "
            f"`lengths={{{name!r}: ...}}` as large as the longest one, or cut them."
        )
    exists = torch.ones_like(available) if padding is None else padding
    z = torch.nn.functional.pad(z, (0, 0, 0, more))
    available = torch.nn.functional.pad(available, (0, more))
    exists = torch.nn.functional.pad(exists, (0, more)) | ~available.any(1, keepdim=True)
    return z, available, exists


def _recorded(name: str, z: Tensor, available: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Values in the dtype of the store; zero where nothing was recorded."""
    kept = torch.where(available.unsqueeze(-1), z, torch.zeros_like(z)).to(dtype or z.dtype)
    wrong = ~torch.isfinite(kept).flatten(1).all(1)
    if wrong.any():
        why = "is NaN or infinite" if not torch.isfinite(z[wrong]).all() else f"is beyond {dtype}"
        raise ValueError(f"A latent of {name!r} {why} in {rows_in_words(wrong)} of the block.")
    return kept.contiguous()


def _per_row(fields: Mapping[str, Any], B: int) -> Tensors:
    """Target, group and split, where they are there."""
    rows: Tensors = {}
    for name in ("target", "group"):
        if fields.get(name) is not None:
            rows[name] = torch.as_tensor(fields[name]).detach().cpu().contiguous()
    if "group" in rows and rows["group"].dtype != torch.int64:
        raise TypeError(f"`group` must hold integers; got {rows['group'].dtype}.")
    if fields.get("split") is not None:
        rows["split"] = _split_codes(fields["split"])
    for name, x in rows.items():
        if len(x) != B or x.ndim > 2 or (name != "target" and x.ndim != 1):
            raise ValueError(f"`{name}` must have an entry for each of {B} rows; got {x.shape}.")
    target = rows.get("target")
    if target is not None and target.dtype not in (torch.int64, *FLOATS):
        raise TypeError(f"`target` must hold int64 or floating numbers; got {target.dtype}.")
    if target is not None and not torch.isfinite(target.double()).all():
        raise ValueError("`target` is NaN or infinite.")
    return rows


def _split_codes(split: Sequence[str]) -> Tensor:
    unknown = sorted({str(part) for part in split if part not in (*SPLITS, None)})
    if unknown:
        raise ValueError(f"`split` must hold {SPLITS}, or None; got {unknown[:5]}.")
    codes = [-1 if part is None else SPLITS.index(part) for part in split]
    return torch.tensor(codes, dtype=torch.int8)
