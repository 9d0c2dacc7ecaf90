"""Latents as SURE works with them: one layout for vectors and sequences, in units of their spread.

A latent vector is a sequence of one token, so every latent has shape ``(B, L, D)`` and every mask
``(B, L)``. That leaves one code path for whole absent modalities, for absent tokens and for
padding. Values are standardised by the training rows: a mean squared error of 1 is what predicting
the mean would give.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sure_pyro.backbones.seam import Backbone, Latent, Tokens, values_of
from sure_pyro.data import Batch

Masks = dict[str, Tensor]


@dataclass(frozen=True)
class Latents:
    """Standardised latents of a batch, with what is recorded of them.

    Attributes
    ----------
    values : dict of Tensor, shapes ``(B, L_i, D_i)``
        Zero wherever nothing was recorded.
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

    def __len__(self) -> int:
        return next(iter(self.values.values())).shape[0]

    def __getitem__(self, rows) -> "Latents":
        def pick(tensors):
            return {name: x[rows] for name, x in tensors.items()}

        target = None if self.target is None else self.target[rows]
        return Latents(pick(self.values), pick(self.available), pick(self.padding), target)

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
    feature_shapes : dict of tuple
        Feature shape of each modality, without the batch dimension.
    """

    def __init__(
        self,
        backbone: Backbone,
        shapes: Mapping[str, tuple[int, int]],
        sequences: Sequence[str],
        feature_shapes: Mapping[str, tuple[int, ...]],
    ):
        super().__init__()
        self.backbone = backbone.freeze()
        self.shapes = {name: (int(L), int(D)) for name, (L, D) in shapes.items()}
        self.sequences = frozenset(sequences)
        self.feature_shapes = dict(feature_shapes)
        for i, (_, D) in enumerate(self.shapes.values()):
            self.register_buffer(f"mean_{i}", torch.zeros(D))
            self.register_buffer(f"scale_{i}", torch.ones(D))

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
        raw = backbone.freeze().encode(batch)
        values = {name: values_of(raw[name]) for name in batch.modalities}
        shapes = {n: (z.shape[1] if z.ndim == 3 else 1, z.shape[-1]) for n, z in values.items()}
        first = next(iter(values.values()))
        sequences = [name for name, z in values.items() if z.ndim == 3]
        features = {name: tuple(x.shape[1:]) for name, x in batch.features.items()}
        space = cls(backbone, shapes, sequences, features)
        space = space.to(device=first.device, dtype=first.dtype)
        latents = space.encode(batch)  # mean 0, scale 1 so far
        for name, z in latents.values.items():
            mean, scale = _moments(z[latents.available[name]])  # (n, D)
            space.moments(name)[0].copy_(mean)
            space.moments(name)[1].copy_(scale)
        return space

    @torch.no_grad()
    def encode(self, batch: Batch) -> Latents:
        """Equation 1 in standardised coordinates; entries that were not recorded are zero."""
        self._check_features(batch)
        raw = self.backbone.encode(batch)
        values, available, padding = {}, {}, {}
        for i, name in enumerate(self.shapes):
            z = values_of(raw[name])
            z = z.unsqueeze(1) if z.ndim == 2 else z  # (B, L, D)
            tokens = self._recorded_tokens(batch, name, z)  # (B, L)
            latent = raw[name]
            if isinstance(latent, Tokens):
                padding[name] = latent.exists | ~batch.available[:, i : i + 1]
                tokens = tokens & latent.exists
            z = self.standardize({name: z})[name]
            values[name] = torch.where(tokens.unsqueeze(-1), z, torch.zeros_like(z))
            available[name] = tokens
        return Latents(values, available, padding, batch.target)

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
        return self.backbone.fuse(self.unstandardize(values, exists or {}))

    def standardize(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Raw latents ``(B, L, D)`` in standard deviations of the training rows."""
        moments = {name: self.moments(name) for name in values}
        return {name: (z - moments[name][0]) / moments[name][1] for name, z in values.items()}

    def unstandardize(self, values: Mapping[str, Tensor], exists: Mapping[str, Tensor]):
        """Latents in the backbone's own form and units: vectors, sequences or `Tokens`."""
        raw: dict[str, Latent] = {}
        for name in self.shapes:
            mean, scale = self.moments(name)
            z = values[name] * scale + mean
            if name not in self.sequences:
                raw[name] = z.squeeze(1)
            else:
                raw[name] = Tokens(z, exists[name]) if name in exists else z
        return raw

    def _check_features(self, batch: Batch) -> None:
        for name, shape in self.feature_shapes.items():
            came = tuple(batch.features[name].shape)
            if came[1:] != shape:
                raise ValueError(
                    f"The model was fitted on features of shape (B, {', '.join(map(str, shape))}) "
                    f"for {name!r}; got {came}. Prepare them as for the training rows."
                )

    def _recorded_tokens(self, batch: Batch, name: str, z: Tensor) -> Bool[Tensor, "B L"]:
        i = batch.modalities.index(name)
        available = batch.available[:, i : i + 1].expand(z.shape[:2])
        if name not in batch.recorded:
            return available
        recorded = (
            batch.recorded[name].flatten(2).all(-1) if batch.recorded[name].ndim > 2 else None
        )
        if recorded is None or recorded.shape[1] != z.shape[1]:
            raise ValueError(
                f"{name!r} is recorded in parts, but its latent has no token per recorded step: "
                f"latent {tuple(z.shape)}, parts {tuple(batch.recorded[name].shape)}. Choose what "
                "to do with such rows: `sp.resolve_partial(data, 'absent')` or `'impute'`."
            )
        return available & recorded


def _moments(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread of latent vectors (n, D); a constant or unseen column gets spread 1."""
    if len(z) == 0:
        return torch.zeros(z.shape[-1]).to(z), torch.ones(z.shape[-1]).to(z)
    scale = z.std(0, correction=0)
    return z.mean(0), torch.where(scale > 1e-6, scale, torch.ones_like(scale))


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
    present = torch.stack([a.any(-1) for a in latents.available.values()], -1)  # (B, M)
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
