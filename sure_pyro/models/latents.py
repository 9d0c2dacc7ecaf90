"""Latents as SURE works with them: one layout for vectors and sequences, in units of their spread.

A latent vector is a sequence of one token, so every latent has shape ``(B, L, D)`` and every mask
``(B, L)``. That leaves one code path for whole absent modalities, for absent tokens and for
padding. Values are standardised by the training rows: a mean squared error of 1 is what predicting
the mean would give.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from jaxtyping import Bool
from torch import Tensor

from sure_pyro.backbones.seam import Backbone, Latent, Tokens, values_of
from sure_pyro.backbones.stand_in import with_stand_ins
from sure_pyro.data import Batch
from sure_pyro.equations import projection

Masks = dict[str, Tensor]


@dataclass  # not frozen: the precisions of Fabric rebuild what they cast, field by field
class Latents:
    """Standardised latents of a batch, with what is recorded of them.

    Attributes
    ----------
    values : dict of Tensor, shapes ``(B, L_i, D_i)``
        Zero wherever nothing was recorded; in padding, what the backbone makes of padding.
    available : dict of bool Tensor, shapes ``(B, L_i)``
        True where a token exists and was recorded.
    padding : dict of bool Tensor, shapes ``(B, L_i)``
        For padded sequences only: True where a token exists.
    target : Tensor or None
        As in `Batch`.
    """

    values: dict[str, Tensor]
    available: Masks
    padding: Masks = field(default_factory=dict)
    target: Tensor | None = None

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modality names, in order."""
        return tuple(self.values)

    @property
    def present(self) -> Bool[Tensor, "B M"]:
        """Modalities of which something was recorded."""
        return torch.stack([a.any(-1) for a in self.available.values()], -1)

    def __len__(self) -> int:
        return next(iter(self.values.values())).shape[0]

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator["Latents"]:
        """All rows in random order, some at a time."""
        for rows in torch.randperm(len(self), generator=generator).split(batch_size):
            yield self[rows]

    def hidden(self, visible: Masks) -> "Latents":
        """The same rows with less recorded: ``available`` lowered to `visible`, values blanked."""
        available, values, padding = {}, {}, {}
        for name, z in self.values.items():
            available[name] = a = self.available[name] & visible[name]
            kept = a
            if name in self.padding:  # of what is gone the length is gone, too
                padding[name] = self.padding[name] | ~a.any(-1, keepdim=True)
                kept = a | ~padding[name]
            values[name] = torch.where(kept.unsqueeze(-1), z, torch.zeros_like(z))
        return Latents(values, available, padding, self.target)

    def __getitem__(self, rows) -> "Latents":
        def pick(tensors):
            return {name: x[rows] for name, x in tensors.items()}

        target = None if self.target is None else self.target[rows]
        return Latents(pick(self.values), pick(self.available), pick(self.padding), target)

    @staticmethod
    def cat(parts: Sequence["Latents"]) -> "Latents":
        """Rows of several, one after the other."""

        def each(tensors: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
            return {name: torch.cat([t[name] for t in tensors]) for name in tensors[0]}

        if len(parts) == 1:
            return parts[0]
        targets = [p.target for p in parts]
        return Latents(
            each([p.values for p in parts]),
            each([p.available for p in parts]),
            each([p.padding for p in parts]),
            None if targets[0] is None else torch.cat(cast(list[Tensor], targets)),
        )

    def exists(self, visible: Masks) -> Masks:
        """Tokens that the fusion attends to, ``(B, L_i)``, for padded sequences.

        A modality of which something is visible has its own length; one of which nothing is
        visible is reconstructed at full length, since its length is not known either.
        """
        return {
            name: padding | ~visible[name].any(-1, keepdim=True)
            for name, padding in self.padding.items()
        }

    def missing(self, visible: Masks) -> Masks:
        """Tokens that must be reconstructed, ``(B, L_i)``: they exist and are not visible."""
        exists = self.exists(visible)
        return {name: exists.get(name, True) & ~v for name, v in visible.items()}


def encoded(backbone: Backbone, batch: Batch) -> dict[str, Latent]:
    """What a backbone makes of rows, with rows that stand in where a modality is absent."""
    stand = backbone.stand_in
    return projection(backbone.encode, batch if stand is None else with_stand_ins(batch, stand))


def sorted_out(raw: Mapping[str, Latent], batch: Batch, like: Tensor) -> Latents:
    """Latents of one layout, with what is recorded of them; in the backbone's units.

    Parameters
    ----------
    raw : mapping of str to Latent
        What `Backbone.encode` gave.
    batch : Batch
        What it was given.
    like : Tensor
        Of the dtype that the values are to have.
    """
    values, available, padding = {}, {}, {}
    for i, name in enumerate(batch.modalities):
        latent = raw[name]
        z = values_of(latent)
        z = (z.unsqueeze(1) if z.ndim == 2 else z).to(like)  # (B, L, D)
        known = tokens = recorded_tokens(batch, name, z)  # (B, L)
        if isinstance(latent, Tokens):
            padding[name] = latent.exists | ~batch.available[:, i : i + 1]
            tokens = tokens & latent.exists
            # What stands in padding is no data. A mask that hides a whole query makes it NaN.
            known = (tokens | ~padding[name]) & z.isfinite().all(-1)
        values[name] = torch.where(known.unsqueeze(-1), z, torch.zeros_like(z))
        available[name] = tokens
    return Latents(values, available, padding)


def recorded_tokens(batch: Batch, name: str, z: Tensor) -> Bool[Tensor, "B L"]:
    """Tokens of a latent ``(B, L, D)`` that were recorded according to the masks of a batch."""
    i = batch.modalities.index(name)
    available = batch.available[:, i : i + 1].expand(z.shape[:2])
    if name not in batch.recorded:
        return available
    recorded = batch.recorded[name].flatten(2).all(-1) if batch.recorded[name].ndim > 2 else None
    if recorded is None or recorded.shape[1] != z.shape[1]:
        raise ValueError(
            f"{name!r} is recorded in parts, but its latent has no token per recorded step: "
            f"latent {tuple(z.shape)}, parts {tuple(batch.recorded[name].shape)}. Choose what "
            "to do with such rows: `sp.resolve_partial(data, 'absent')` or `'impute'`."
        )
    return available & recorded


def as_latents(batch: Batch) -> dict[str, Latent]:
    """Latents that a batch holds in the place of features, in the form that `encode` gives."""
    return {
        name: Tokens(z, batch.padding[name]) if name in batch.padding else z
        for name, z in batch.features.items()
    }
