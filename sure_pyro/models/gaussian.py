"""The closed form: every latent given what is visible, as if all of them were one Gaussian.

It is fitted in milliseconds, and on few rows hard to beat: the yardstick for what a network
learns. The conditional mean is linear in what is visible, and the conditional variance depends on
which modalities are visible only, not on what they say (`sure_pyro.models.joint_gaussian`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sure_pyro.models.joint_gaussian import (
    Conditional,
    by_pattern,
    conditional,
    joint_moments,
)
from sure_pyro.models.latents import Latents
from sure_pyro.models.reconstructor import SCALE_FLOOR, LocScale, Reconstructor

MOST_ENTRIES = 1000
"""Of all latents together: beyond it each modality is seen through its principal components."""
COMPONENTS = 64
MOST_PATTERNS = 256  # conditionals that are kept: all masks of eight modalities


class GaussianReconstructor(Reconstructor):
    """Conditional mean and standard deviation of a joint Gaussian (equation 2 in closed form).

    Coordinates are the entries of all tokens of all modalities side by side, E of them. The fit
    costs n E^2 + E^3, a pattern of what is visible E^3, once. Where E is above `MOST_ENTRIES` each
    modality is seen through its 64 leading principal components; then a sequence of which a part
    is visible counts as hidden, and its visible tokens say nothing of the others.

    Nothing is trained by gradients: `fit_closed_form` takes the training rows.

    Parameters
    ----------
    shapes : dict of (int, int)
        ``(L_i, D_i)`` per modality.
    """

    trained = False
    mean: Tensor
    covariance: Tensor

    def __init__(self, shapes: Mapping[str, tuple[int, int]]):
        super().__init__(shapes)
        entries = [L * D for L, D in shapes.values()]
        wide = sum(entries) > MOST_ENTRIES
        parts = [Components(n) if wide else Entries(n) for n in entries]
        self.coordinates: Any = nn.ModuleList(parts)
        E = sum(part.size for part in parts)
        self.register_buffer("mean", torch.zeros(E))
        self.register_buffer("covariance", torch.eye(E))
        self.kept: dict[bytes, tuple[Conditional, Tensor]] = {}

    @torch.no_grad()
    def fit_closed_form(self, latents: Latents) -> None:
        """Estimate mean and covariance from the latents that rows have.

        Parameters
        ----------
        latents : Latents
            Of the training rows, as `SURE.encode` gives them.
        """
        for name, coordinates in zip(self.shapes, self.coordinates, strict=True):
            complete = latents.available[name].all(1)
            coordinates.fit(latents.values[name][complete].flatten(1).double())
        x, visible = self._coordinates(latents.values, latents.available)
        mean, covariance = joint_moments(x, visible)
        self.mean.copy_(mean)
        self.covariance.copy_(covariance)
        self.kept.clear()

    def forward(self, values, visible) -> dict[str, LocScale]:
        """See `Reconstructor.forward`."""
        x, known = self._coordinates(values, visible)
        mean = self.mean.double()
        loc, variance = mean.expand_as(x).clone(), x.new_zeros(len(x), self._num_entries)
        for rows, pattern in by_pattern(known):
            (v, h, gain, _), of_entries = self._conditional(pattern)
            loc[rows[:, None], h] = mean[h] + (x[rows[:, None], v] - mean[v]) @ gain
            variance[rows] = of_entries
        return self._loc_scale(loc, variance, values)

    @property
    def _num_entries(self) -> int:
        return sum(L * D for L, D in self.shapes.values())

    def _coordinates(
        self, values: Mapping[str, Tensor], visible: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "B E"], Bool[Tensor, "B E"]]:
        """Coordinates in double precision, zero where they are not visible."""
        parts = []
        for (name, (_, D)), coordinates in zip(self.shapes.items(), self.coordinates, strict=True):
            v = visible[name].repeat_interleave(D, 1)  # (B, L D)
            z = values[name].flatten(1).double()
            parts.append(coordinates(torch.where(v, z, torch.zeros_like(z)), v))
        return torch.cat([x for x, _ in parts], 1), torch.cat([v for _, v in parts], 1)

    def _conditional(self, pattern: Bool[Tensor, " E"]) -> tuple[Conditional, Tensor]:
        """What is hidden given what is visible, and the variance of every entry."""
        key = pattern.cpu().numpy().tobytes()
        found = self.kept.get(key)
        if found is None or found[1].device != pattern.device:
            of_coordinates = conditional(self.covariance.double(), pattern)
            found = of_coordinates, self._of_entries(of_coordinates)
            if len(self.kept) < MOST_PATTERNS:
                self.kept[key] = found
        return found

    def _of_entries(self, c: Conditional) -> Float[Tensor, " n"]:
        whole = torch.zeros_like(self.covariance, dtype=torch.double)
        whole[c.hidden[:, None], c.hidden] = c.covariance
        sizes = [coordinates.size for coordinates in self.coordinates]
        blocks = [row.split(sizes, 1)[i] for i, row in enumerate(whole.split(sizes, 0))]
        parts = zip(self.coordinates, blocks, strict=True)
        return torch.cat([coordinates.variance(block) for coordinates, block in parts])

    def _loc_scale(
        self, loc: Tensor, variance: Tensor, values: Mapping[str, Tensor]
    ) -> dict[str, LocScale]:
        sizes = [coordinates.size for coordinates in self.coordinates]
        entries = [L * D for L, D in self.shapes.values()]
        parts = zip(self.coordinates, loc.split(sizes, 1), variance.split(entries, 1), strict=True)
        found = {}
        for (name, shape), (coordinates, m, s2) in zip(self.shapes.items(), parts, strict=True):
            scale = s2.sqrt().clamp_min(SCALE_FLOOR)
            found[name] = LocScale(
                coordinates.entries(m).unflatten(1, shape).to(values[name]),
                scale.unflatten(1, shape).to(values[name]),
            )
        return found


class Entries(nn.Module):
    """The entries of a latent as they are."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def fit(self, z: Tensor) -> None:
        """Nothing has to be learnt."""

    def forward(self, z: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates ``(B, size)``, and which of them are visible."""
        return z, visible

    def entries(self, coordinates: Tensor) -> Tensor:
        """Entries ``(B, n)`` of coordinates."""
        return coordinates

    def variance(self, covariance: Tensor) -> Tensor:
        """Variance ``(n,)`` of the entries, from the covariance of the coordinates."""
        return covariance.diagonal().clamp_min(0)


class Components(Entries):
    """Leading principal components of a latent, and the variance that they leave."""

    basis: Tensor
    rest: Tensor

    def __init__(self, entries: int):
        super().__init__(min(entries, COMPONENTS))
        self.register_buffer("basis", torch.zeros(entries, self.size))
        self.register_buffer("rest", torch.ones(entries))

    def fit(self, z: Tensor) -> None:
        """Find them in rows ``(n, entries)``; fewer rows than components leave some empty."""
        directions = torch.linalg.svd(z, full_matrices=False)[2][: self.size]
        self.basis.zero_()
        self.basis[:, : len(directions)] = directions.mT
        outside = z - z @ self.basis.double() @ self.basis.double().mT
        self.rest.copy_(outside.square().mean(0) if len(z) else torch.ones_like(self.rest))

    def forward(self, z: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:
        """See `Entries.forward`; those of a latent that is not wholly visible are not known."""
        known = visible.all(1, keepdim=True).expand(-1, self.size)
        return (z @ self.basis.double()) * known, known

    def entries(self, coordinates: Tensor) -> Tensor:
        """See `Entries.entries`."""
        return coordinates @ self.basis.double().mT

    def variance(self, covariance: Tensor) -> Tensor:
        """See `Entries.variance`."""
        basis = self.basis.double()
        return ((basis @ covariance) * basis).sum(1).clamp_min(0) + self.rest
