"""Latents as SURE works with them: one layout for vectors and sequences, in units of their spread.

A latent vector is a sequence of one token, so every latent has shape ``(B, L, D)`` and every mask
``(B, L)``. That leaves one code path for whole absent modalities, for absent tokens and for
padding. Values are standardised by the training rows: a mean squared error of 1 is what predicting
the mean would give.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sure_pyro.backbones.seam import Backbone, Latent, Tokens, values_of
from sure_pyro.backbones.stand_in import complete_rows, with_stand_ins
from sure_pyro.data import Batch, MaskedRows
from sure_pyro.data.fields import each_field, event_shape, tokens_of
from sure_pyro.data.standardize import masked_moments
from sure_pyro.data.store import LatentStore
from sure_pyro.equations import projection
from sure_pyro.models.moments import moments_of

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


class LatentSpace(nn.Module):
    """Frozen backbone seen in standardised coordinates of one layout.

    Parameters
    ----------
    backbone : Backbone
        Frozen by this constructor.
    shapes : dict of (int, int)
        ``(L_i, D_i)`` per modality, L = 1 for a vector.
    sequences : sequence of str
        The modalities whose latents are sequences (L may still be 1).
    feature_shapes : dict of tuple, or of dict of tuple
        Feature shape of each modality (of each of its tensors), without the batch dimension.
    dtypes : dict of torch.dtype, optional
        In which the backbone gives, and takes, each latent; that of the space by default.
    padded : mapping of str to int, optional
        Modalities whose inputs are padded, with the number of their tokens.
    """

    def __init__(
        self,
        backbone: Backbone,
        shapes: Mapping[str, tuple[int, int]],
        sequences: Sequence[str],
        feature_shapes: Mapping[str, Any],
        dtypes: Mapping[str, torch.dtype] | None = None,
        padded: Mapping[str, int] | None = None,
    ):
        super().__init__()
        self.backbone = backbone.freeze()
        self.shapes = {name: (int(L), int(D)) for name, (L, D) in shapes.items()}
        self.sequences = frozenset(sequences)
        self.feature_shapes = dict(feature_shapes)
        self.dtypes = dict(dtypes or {})
        self.padded = {
            n: x if isinstance(x, int) else x.shape[1] for n, x in (padded or {}).items()
        }
        for i, (_, D) in enumerate(self.shapes.values()):
            self.register_buffer(f"mean_{i}", torch.zeros(D, dtype=self.working_dtype))
            self.register_buffer(f"scale_{i}", torch.ones(D, dtype=self.working_dtype))

    def moments(self, name: str) -> tuple[Tensor, Tensor]:
        """Mean and spread of a latent over the training rows, ``(D_i,)`` each."""
        i = list(self.shapes).index(name)
        return cast(Tensor, getattr(self, f"mean_{i}")), cast(Tensor, getattr(self, f"scale_{i}"))

    @property
    def like(self) -> Tensor:
        """Any tensor of the space: its dtype and device are those of all latents."""
        return self.moments(next(iter(self.shapes)))[0]

    @classmethod
    def fit(cls, backbone: Backbone, batch: Batch) -> "LatentSpace":
        """Learn layout, mean and spread from (training) rows; absent entries do not count."""
        return cls.fit_encode(backbone, batch)[0]

    @classmethod
    @torch.no_grad()
    def fit_encode(cls, backbone: Backbone, batch: Batch) -> tuple["LatentSpace", Latents]:
        """Learn from rows, and give their latents, encoded once."""
        backbone.freeze()
        if backbone.stand_in is None and not batch.encoded:
            backbone.prepare(batch)
        with torch.autocast(batch.available.device.type, enabled=False):
            rows = complete_rows(batch, 2)
            given = as_latents(rows) if batch.encoded else projection(backbone.encode, rows)
            few = {name: values_of(z) for name, z in given.items()}
        shapes = {n: (z.shape[1] if z.ndim == 3 else 1, z.shape[-1]) for n, z in few.items()}
        space = cls(
            backbone,
            shapes,
            [name for name, z in few.items() if z.ndim == 3],
            {name: event_shape(x) for name, x in batch.features.items()},
            {name: z.dtype for name, z in few.items()},
            {name: exists.shape[1] for name, exists in batch.padding.items()},
        )
        space = space.to(device=batch.available.device)
        raw = space._raw(batch)
        for name, z in raw.values.items():
            recorded = raw.available[name].unsqueeze(-1).expand_as(z)
            for own, found in zip(space.moments(name), masked_moments(z, recorded), strict=True):
                own.copy_(found)
        return space, space._standard(raw)

    @classmethod
    def fit_stored(cls, backbone: Backbone, store: LatentStore) -> "LatentSpace":
        """Learn from the rows of a store, without holding them in memory."""
        dtype = next((p.dtype for p in backbone.parameters() if p.is_floating_point()), None)
        space = cls(
            backbone.freeze(),
            store.shapes,
            sorted(store.sequences),
            {},
            {name: dtype or own for name, own in store.dtypes.items()},
        )
        for name, found in moments_of(store).items():
            for own, value in zip(space.moments(name), found, strict=True):
                own.copy_(value)
        return space

    @property
    def working_dtype(self) -> torch.dtype:
        """Of standardised latents and of all that is trained: at least single precision."""
        dtype = torch.float32
        for own in self.dtypes.values():
            dtype = torch.promote_types(dtype, own)
        return dtype

    def encode(self, batch: Batch | MaskedRows) -> Latents:
        """Equation 1 in standardised coordinates; entries that were not recorded are zero.

        Rows under several masks are encoded once.

        What the backbone makes of padding is kept beside the mask that says so: a fusion that was
        trained without a mask goes on seeing what it always saw.
        """
        if isinstance(batch, MaskedRows):
            latents = self.encode(batch.complete)[torch.from_numpy(batch.row)]
            return latents.hidden(self._tokens_of(batch.batch, latents))
        return self._standard(self._raw(batch))

    def _tokens_of(self, batch: Batch, latents: Latents) -> Masks:
        """What is recorded of every token according to the masks of a batch."""
        return {n: recorded_tokens(batch, n, z) for n, z in latents.values.items()}

    @torch.no_grad()
    def _raw(self, batch: Batch) -> Latents:
        """Latents in the backbone's units, encoded a few rows at a time."""
        batch = batch if batch.encoded else self._as_fitted(batch)
        size = len(batch) if batch.encoded else self.backbone.batch_size
        parts = [
            self._part(batch[i : i + size]) for i in range(0, max(1, len(batch)), max(1, size))
        ]
        joined = Latents.cat(parts)
        return Latents(joined.values, joined.available, joined.padding, batch.target)

    def _part(self, batch: Batch) -> Latents:
        raw = as_latents(batch) if batch.encoded else encoded(self.backbone, batch)
        return sorted_out(raw, batch, self.like)

    def _standard(self, raw: Latents) -> Latents:
        values = {}
        for name, z in self.standardize(raw.values).items():
            kept = raw.available[name]
            if name in raw.padding:
                kept = kept | ~raw.padding[name]
            values[name] = torch.where(kept.unsqueeze(-1), z, torch.zeros_like(z))
        return Latents(values, raw.available, raw.padding, raw.target)

    def fuse(
        self,
        values: Mapping[str, Float[Tensor, "B _ _"]],
        exists: Mapping[str, Tensor] | None = None,
    ) -> Float[Tensor, "B H"]:
        """H = omega(z), equation 4, from standardised latents ``(B, L_i, D_i)``.

        Parameters
        ----------
        values : dict of Tensor, shapes ``(B, L_i, D_i)``
        exists : dict of bool Tensor, shapes ``(B, L_i)``, optional
            For padded sequences only.
        """
        return self.backbone.fuse(self.unstandardize(values, exists or {})).to(self.like)

    def standardize(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Raw latents ``(B, L, D)`` in standard deviations of the training rows."""
        moments = {name: self.moments(name) for name in values}
        return {name: (z - moments[name][0]) / moments[name][1] for name, z in values.items()}

    def unstandardize(self, values: Mapping[str, Tensor], exists: Mapping[str, Tensor]):
        """Latents in the backbone's own form and units: vectors, sequences or `Tokens`."""
        raw: dict[str, Latent] = {}
        for name in self.shapes:
            mean, scale = self.moments(name)
            z = (values[name] * scale + mean).to(self.dtypes.get(name, mean.dtype))
            if name not in self.sequences:
                raw[name] = z.squeeze(1)
            else:
                raw[name] = Tokens(z, exists[name]) if name in exists else z
        return raw

    def _as_fitted(self, batch: Batch) -> Batch:
        """Batch with sequences of the length of the training rows, padded where they are shorter.

        Raises
        ------
        ValueError
            If features have another shape than those of the training rows.
        """
        for name in self.backbone.modalities:
            if name in self.padded:
                batch = self._padded(batch, name)
        for name, shape in self.feature_shapes.items():
            came = event_shape(batch.features[name])
            if came != shape:
                got = each_field(batch.features[name], lambda x: tuple(x.shape))
                raise ValueError(
                    f"The model was fitted on features of shape {_with_rows(shape)} for {name!r}; "
                    f"got {got}. Prepare them as for the training rows"
                    + (", and cut longer sequences." if name in self.padded else ".")
                )
        return batch

    def _padded(self, batch: Batch, name: str) -> Batch:
        """Batch with padding up to the length at which the model was fitted."""
        exists = batch.padding.get(name)
        if exists is None:  # every token exists
            steps = self.padded[name]
            length = min(steps, _tokens(batch.features[name], self.feature_shapes[name], steps))
            exists = batch.available.new_ones(len(batch), length)
        more = self.padded[name] - exists.shape[1]
        padding = {**batch.padding, name: F.pad(exists, (0, max(0, more)))}
        if more <= 0:
            return batch._with(padding=padding)

        def longer(x: Tensor) -> Tensor:
            pads = [0, 0] * (x.ndim - 2) + [0, more]
            return x if tokens_of(x, exists) is None else F.pad(x, pads)

        features = {**batch.features, name: each_field(batch.features[name], longer)}
        recorded = {
            n: F.pad(r, [0, 0] * (r.ndim - 2) + [0, more]) if n == name else r
            for n, r in batch.recorded.items()
        }
        absent = ~batch.available[:, [batch.modalities.index(name)]]
        padding[name] = padding[name] | absent
        return batch._with(features=features, padding=padding, recorded=recorded)


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


def _with_rows(shape: Any) -> str:
    """Shape of a modality, or of each of its tensors, with the rows in front."""
    if isinstance(shape, Mapping):
        return ", ".join(f"{field} {_with_rows(own)}" for field, own in shape.items())
    return f"(B, {', '.join(map(str, shape))})"


def _tokens(x: Any, shape: Any, steps: int) -> int:
    """Number of tokens of an unpadded modality, where that of the fitted one is `steps`."""
    if not isinstance(x, Mapping):
        return x.shape[1]
    lengths = [
        t.shape[1] for field, t in x.items() if field in shape and shape[field][:1] == (steps,)
    ]
    return lengths[0] if lengths else steps


def hide(
    latents: Latents,
    generator: torch.Generator | None = None,
    tokens: float = 0.0,
    odds: Mapping[str, float] | None = None,
) -> Masks:
    """Hide a random part of what is available, so that there is a truth to learn from.

    Of the m modalities that a row has, a uniformly drawn 1..m-1 are hidden whole; a row with one
    modality keeps it. Random numbers come from the CPU, so that every device sees the same masks.

    Parameters
    ----------
    latents : Latents
    generator : torch.Generator, optional
        On the CPU; the default generator if None.
    tokens : float, in [0, 1)
        Share of the tokens of the remaining sequences that is hidden as well, for data in which
        sequences have gaps.
    odds : mapping of str to float, optional
        How likely each modality is to be the next that is hidden, relative to the others; positive,
        1 for those that are not named. How many are hidden does not depend on it, and neither does
        the use of random numbers: equal odds give the masks that no odds give.

    Returns
    -------
    dict of bool Tensor, shapes ``(B, L_i)``
        What is visible: v <= a.

    Raises
    ------
    ValueError
        If `odds` names an unknown modality or is not positive and finite.
    """
    present = latents.present
    B, M = present.shape
    num_present = present.sum(-1, keepdim=True).cpu()
    u = torch.rand(B, 1, generator=generator)
    num_hidden = (1 + (u * (num_present - 1)).floor()).clamp(max=num_present - 1)  # 1..m-1, or 0
    order = _order(torch.rand(B, M, generator=generator), latents.modalities, odds or {})
    order = order.masked_fill(~present.cpu(), math.inf)  # absent ones come last
    keep = (order.argsort(-1).argsort(-1) >= num_hidden).to(present.device)  # (B, M)
    visible = {}
    for j, (name, available) in enumerate(latents.available.items()):
        v = available & keep[:, j : j + 1]
        if tokens > 0 and v.shape[1] > 1:
            v = v & (torch.rand(v.shape, generator=generator) >= tokens).to(v.device)
        visible[name] = v
    return visible


def _order(u: Tensor, modalities: Sequence[str], odds: Mapping[str, float]) -> Tensor:
    """Keys of which the smallest are hidden first, ``(B, M)``, from uniform numbers.

    Exponential times with the odds as rates: which comes first, and which next among those that are
    left, has the odds as probabilities (Efraimidis and Spirakis 2006).
    """
    check_odds(odds, modalities)
    rates = [float(odds.get(name, 1.0)) for name in modalities]
    if len(set(rates)) == 1:
        return u
    return -torch.log1p(-u) / torch.tensor(rates)


def check_odds(odds: Mapping[str, float], modalities: Sequence[str]) -> None:
    """Verify the odds of `hide`.

    Raises
    ------
    ValueError
        If a modality is unknown, or its odds are not positive and finite.
    """
    unknown = [name for name in odds if name not in modalities]
    if unknown:
        raise ValueError(
            f"`hiding` must name modalities of {tuple(modalities)}; got {tuple(unknown)}."
        )
    wrong = {name: x for name, x in odds.items() if not 0 < x < math.inf}  # NaN fails too
    if wrong:
        raise ValueError(
            f"`hiding` must be positive and finite, as odds relative to the others; got {wrong}. "
            "For a modality that is never to be hidden take small odds, such as 0.01."
        )
