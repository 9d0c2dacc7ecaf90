"""The latent space of a backbone: layout, standardisation, and the way in and out of it.

Values are standardised by the training rows: a mean squared error of 1 is what predicting the mean
would give.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from sure_pyro.backbones.seam import Backbone, Latent, Tokens, values_of
from sure_pyro.backbones.stand_in import complete_rows
from sure_pyro.data import Batch
from sure_pyro.data.fields import each_field, event_shape, tokens_of
from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.data.standardize import masked_moments
from sure_pyro.data.store import LatentStore
from sure_pyro.equations import projection
from sure_pyro.models.latents import (
    Latents,
    Masks,
    as_latents,
    encoded,
    recorded_tokens,
    sorted_out,
)
from sure_pyro.models.moments import moments_of


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
