"""Rows that stand in where a network needs an input and there is none.

Zeros are no legal input for many networks: a sequence of no tokens, a mask that is false
throughout, a token number that does not exist. Where a modality is absent, the encoder is given
that of a training row instead, and what it makes of it is thrown away.
"""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from jaxtyping import Bool
from torch import Tensor

from sure_pyro.data import Batch
from sure_pyro.data.fields import Modality, each_field, tokens_of
from sure_pyro.data.masks import blank

TOKEN_NUMBERS = "input_ids"
"""Field of token numbers. Some networks pool where a text ends, which the last of them marks."""


def stand_in(batch: Batch) -> Batch:
    """Two rows in which every modality is recorded, and every token exists.

    Padding is filled with the first token of its own row, and a text ends as it ended: its last
    token number stands last. A modality that no row has stays zero.

    Parameters
    ----------
    batch : Batch
        (Training) rows.

    Returns
    -------
    Batch
        Without targets.
    """
    rows = complete_rows(batch, 2)
    features = dict(rows.features)
    for name, exists in rows.padding.items():
        filled = each_field(features[name], partial(_without_gaps, exists))
        features[name] = _token_numbers(filled, partial(_end_last, exists))
    padding = {name: torch.ones_like(exists) for name, exists in rows.padding.items()}
    return rows._with(features=features, padding=padding)


def complete_rows(batch: Batch, num_rows: int) -> Batch:
    """Rows in which every modality is recorded, put together where none has them all.

    Parameters
    ----------
    batch : Batch
    num_rows : int
        How many. The longest and most completely recorded rows of each modality come first; rows
        occur again where there are not so many.

    Returns
    -------
    Batch
        Without targets; a modality that no row has is zero.
    """
    features, padding = {}, {}
    for i, name in enumerate(batch.modalities):
        rows = _best_rows(batch, i, num_rows)
        features[name] = each_field(batch.features[name], partial(_picked, rows))
        if name in batch.padding:
            padding[name] = batch.padding[name][rows]
    rows = torch.zeros(num_rows, dtype=torch.int64)
    return batch[rows]._with(
        features=features,
        padding=padding,
        available=torch.ones_like(batch.available[rows]),
        recorded={},
        target=None,
        task=None,
        class_names=None,
        group=None,
        test=None,
    )


def _picked(rows: Tensor, x: Tensor) -> Tensor:
    return x[rows].clone()


def _best_rows(batch: Batch, i: int, num_rows: int) -> Tensor:
    """Rows that have modality i."""
    name = batch.modalities[i]
    score = batch.available[:, i].double()
    for masks in (batch.padding, batch.recorded):
        if name in masks:
            score = score + batch.available[:, i] * masks[name].flatten(1).double().mean(1)
    best = score.argsort(descending=True, stable=True)[:num_rows]
    best = best[score[best] > 0] if bool((score > 0).any()) else best[:1]
    return best[torch.arange(num_rows) % len(best)]


def _token_numbers(x: Modality, fn: Callable[[Tensor], Tensor]) -> Modality:
    """Modality with its token numbers changed, if it has some."""
    if isinstance(x, Mapping):
        return {**x, TOKEN_NUMBERS: fn(x[TOKEN_NUMBERS])} if TOKEN_NUMBERS in x else x
    return x if x.is_floating_point() else fn(x)


def _end_last(exists: Bool[Tensor, "B L"], ids: Tensor) -> Tensor:
    """Move the token with which a text ends to the last place; its first token fills the gap."""
    if ids.shape != exists.shape:
        return ids
    last, first = _last(exists), exists.int().argmax(1, keepdim=True)
    moved = ids.scatter(1, last, ids.gather(1, first))
    moved[:, -1:] = ids.gather(1, last)
    return moved


def _end_where_it_ends(exists: Bool[Tensor, "B L"], ids: Tensor) -> Tensor:
    """Put the token of the last place where the text now ends, too."""
    return ids.scatter(1, _last(exists), ids[:, -1:]) if ids.shape == exists.shape else ids


def _last(exists: Bool[Tensor, "B L"]) -> Tensor:
    """Place of the last token that exists, ``(B, 1)``."""
    return exists.shape[1] - 1 - exists.flip(1).int().argmax(1, keepdim=True)


def _without_gaps(exists: Tensor, x: Tensor) -> Tensor:
    """Padding replaced by the first token that exists, in a tensor that has an axis of tokens."""
    if tokens_of(x, exists) is None:
        return x
    first = exists.int().argmax(1)  # (2,)
    token = x[torch.arange(len(x)), first].unsqueeze(1)
    return torch.where(exists.reshape(*exists.shape, *[1] * (x.ndim - 2)), x, token)


def with_stand_ins(batch: Batch, stand: Batch) -> Batch:
    """Batch in which the features of absent modalities are those of a row that stands in.

    Parameters
    ----------
    batch : Batch
    stand : Batch
        What `stand_in` gave, of the same shapes.
    """
    features = dict(batch.features)
    for i, name in enumerate(batch.modalities):
        absent = ~batch.available[:, i]
        if not bool(absent.any()):
            continue

        x, s = batch.features[name], stand.features[name]
        if isinstance(x, Mapping):
            features[name] = {field: _filled(v, s[field], absent) for field, v in x.items()}
        else:
            features[name] = _filled(x, s, absent)
    return batch._with(features=features)


def _filled(x: Tensor, stand: Tensor, absent: Bool[Tensor, " B"]) -> Tensor:
    return torch.where(absent.reshape(-1, *[1] * (x.ndim - 1)), stand[:1].to(x), x)


def repeated(stand: Batch, num_rows: int, exists: Mapping[str, Tensor], copied: bool) -> Batch:
    """As many rows as needed, all like the first that stands in, padded as `exists` says.

    Parameters
    ----------
    stand : Batch
    num_rows : int
        B.
    exists : mapping of str to bool Tensor, shapes ``(B, L_i)``
        Tokens of some modalities; a mask of another length than the features' is passed over.
    copied : bool
        Tensors of their own instead of views of one row, for a network that changes its inputs.
    """

    def rows(x: Tensor) -> Tensor:
        x = x[:1].expand(num_rows, *x.shape[1:])
        return x.clone() if copied else x

    features = {name: each_field(x, rows) for name, x in stand.features.items()}
    padding = {name: e[:1].expand(num_rows, -1) for name, e in stand.padding.items()}
    for name in stand.padding:
        if name in exists and exists[name].shape[1] == padding[name].shape[1]:
            padding[name] = exists[name]
            some = torch.ones(num_rows, 1, dtype=torch.bool, device=exists[name].device)
            ending = _token_numbers(features[name], partial(_end_where_it_ends, exists[name]))
            features[name] = blank({name: ending}, some, {name: exists[name]}, {})[name]
    available = stand.available[:1].expand(num_rows, -1)
    return stand._with(features=features, available=available, padding=padding)


def to_tensors(stand: Batch | None) -> dict[str, Tensor]:
    """Named tensors of rows that stand in, for a file."""
    if stand is None:
        return {}
    named = {f"padding/{name}": exists for name, exists in stand.padding.items()}
    for name, x in stand.features.items():
        fields = (
            {f"/{field}": value for field, value in x.items()}
            if isinstance(x, Mapping)
            else {"": x}
        )
        named |= {f"features/{name}{field}": value for field, value in fields.items()}
    return named


def from_tensors(named: Mapping[str, Tensor], modalities: tuple[str, ...]) -> Batch | None:
    """Rows that `to_tensors` wrote."""
    if not named:
        return None
    features: dict = {name: named.get(f"features/{name}", {}) for name in modalities}
    padding = {}
    for key, x in named.items():
        kind, name, *field = key.split("/")
        if kind == "padding":
            padding[name] = x
        elif field:
            features[name][field[0]] = x
    return Batch(features, padding=padding)
