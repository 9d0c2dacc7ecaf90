r"""What a calibration does to a model's numbers: before the propagation, and after it.

Before it, the variance of every reconstruction, by target modality and mask pattern. After it, by
method: the total variance of every output (regression),

.. math:: s'^2_i = s^2_i \, \frac{f(s^2_{total})}{s^2_{total}}

so that the sources keep their shares and still add up (equation 8); or a temperature (classes and
labels), :math:`p' \propto p^{1/T}`, under which the mean logit is divided by T.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor

from sure_pyro.calibration.arrays import TemperatureScaling, VarianceRecalibration
from sure_pyro.calibration.arrays.online import check_step, largest_temperature_step
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.evaluation.hidden import Hidden
from sure_pyro.metrics import mask_pattern
from sure_pyro.models import LocScale
from sure_pyro.propagation import Moments
from sure_pyro.stored import Stored

Seen = Bool[np.ndarray, " B"]
VarianceKind = Literal["scale", "affine", "isotonic"]


class Evidence(NamedTuple):
    """Which of N held-out rows under masks is which, and how far they are trusted.

    Parameters
    ----------
    pattern, row, groups : ndarray, shape (N,)
        What is visible, which row it is, and which rows err together.
    pseudo_count, prior_scale : float
        Of patterns against each other, and of all against the model (`arrays.shrinkage`).
    """

    pattern: Shaped[np.ndarray, " N"]
    row: Int[np.ndarray, " N"]
    groups: Int[np.ndarray, " N"]
    pseudo_count: float | None
    prior_scale: float

    def of(self, where: Int[np.ndarray, " n"] | slice) -> dict[str, Any]:
        """Keywords of a fit to some of them."""
        arrays = {name: getattr(self, name)[where] for name in ("pattern", "row", "groups")}
        return {**arrays, "pseudo_count": self.pseudo_count, "prior_scale": self.prior_scale}


@dataclass(frozen=True, eq=False)
class ReconstructionMaps(Stored):
    """A variance map per target modality and pattern of what is visible.

    Parameters
    ----------
    modalities : tuple of str
        In the order of the columns of `available`.
    maps : dict of VarianceRecalibration
        By target modality; one that was never hidden on purpose has none and stays as it is.
    """

    modalities: tuple[str, ...]
    maps: Mapping[str, VarianceRecalibration]

    @classmethod
    def fit(
        cls,
        hidden: Mapping[str, Hidden],
        modalities: tuple[str, ...],
        kind: VarianceKind,
        evidence: Evidence,
    ) -> ReconstructionMaps:
        """Fit to latents that were hidden on purpose; `evidence` is about all masked rows."""
        maps = {
            name: VarianceRecalibration.fit(*h.pair(), kind=kind, **evidence.of(h.where))
            for name, h in hidden.items()
        }
        return cls(modalities, maps)

    def __call__(
        self, reconstruction: Mapping[str, LocScale], visible: Mapping[str, Tensor]
    ) -> dict[str, LocScale]:
        """Rescale every reconstruction by what is visible in its row; locations stay."""
        pattern = pattern_of(visible)
        changed = dict(reconstruction)
        for name, fitted in self.maps.items():
            loc, scale = reconstruction[name]
            sigma2 = np.square(as_float64(scale.flatten(1)))  # (B, L * D)
            found = np.sqrt(fitted.transform(sigma2, pattern).value)
            changed[name] = LocScale(loc, torch.from_numpy(found).to(scale).reshape(scale.shape))
        return changed

    def update_online(
        self, hidden: Mapping[str, Hidden], pattern: Shaped[np.ndarray, " _N"], step: float
    ) -> ReconstructionMaps:
        """Update with latents that were hidden on purpose, all of which become known together.

        `hidden` is reconstructed by the model as it was fitted, `pattern` as in a fit. A modality
        that was never hidden before begins as it stands.
        """
        after = dict(self.maps)
        for name, h in hidden.items():
            s2, e2 = h.pair()
            fitted = after.get(name) or VarianceRecalibration.unchanged(s2)
            after[name] = fitted.update_online(s2, e2, pattern[h.where], step, together=True)[1]
        return replace(self, maps=after)

    def seen(
        self, pattern: Shaped[np.ndarray, " _B"], available: Bool[np.ndarray, "_B _M"]
    ) -> Seen:
        """Whether everything that a row lacks was met in the fit with what the row has."""
        seen = np.ones(len(pattern), dtype=bool)
        for i, name in enumerate(self.modalities):
            known = self.maps[name].known if name in self.maps else []
            seen &= available[:, i] | np.array([p in known for p in pattern.tolist()], dtype=bool)
        return seen

    def to_dataframe(self) -> pd.DataFrame:
        """Give one line per target modality and pattern."""
        frames = [f.to_dataframe().assign(target=name) for name, f in self.maps.items()]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


class CalibratedOutput(NamedTuple):
    """Moments, probabilities (or None), and whether the fit knew the pattern of each row."""

    moments: Moments
    probabilities: Tensor | None
    seen: Seen


@dataclass(frozen=True, eq=False)
class OutputVariance(Stored):
    """A variance map per output of one method, for regression."""

    maps: tuple[VarianceRecalibration, ...]

    @classmethod
    def fit(
        cls,
        moments: Moments,
        target: np.ndarray,
        kind: VarianceKind,
        evidence: Evidence,
    ) -> OutputVariance:
        """Fit to targets (N, C) in units."""
        pairs, options = variance_and_error(moments, target), evidence.of(slice(None))
        return cls(
            tuple(VarianceRecalibration.fit(s2, e2, kind=kind, **options) for s2, e2 in pairs)
        )

    def __call__(
        self, moments: Moments, probabilities: Tensor | None, pattern: Shaped[np.ndarray, " _B"]
    ) -> CalibratedOutput:
        """Rescale every source alike, so that the total becomes what the map says."""
        s2 = as_float64(moments.variance)  # (B, C)
        found = [m.transform(s2[:, c], pattern) for c, m in enumerate(self.maps)]
        after = np.stack([f.value for f in found], 1)
        ratio = np.divide(after, s2, out=np.ones_like(s2), where=s2 > 0)
        return CalibratedOutput(
            rescaled(moments, torch.from_numpy(ratio)), probabilities, found[0].seen
        )

    def update_online(
        self,
        moments: Moments,
        probabilities: Tensor | None,
        target: np.ndarray,
        pattern: Shaped[np.ndarray, " _N"],
        step: float,
    ) -> OutputVariance:
        """Update with targets (N, C) in units, all of which become known together."""
        pairs = zip(self.maps, variance_and_error(moments, target), strict=True)
        return OutputVariance(
            tuple(m.update_online(*pair, pattern, step, together=True)[1] for m, pair in pairs)
        )

    def to_dataframe(self) -> pd.DataFrame:
        """Give one line per output and pattern."""
        frames = [m.to_dataframe().assign(target=f"y{c}") for c, m in enumerate(self.maps)]
        return pd.concat(frames, ignore_index=True)


@dataclass(frozen=True, eq=False)
class OutputTemperature(Stored):
    """A temperature per pattern of one method, for classes, or for labels taken one by one."""

    scaling: TemperatureScaling
    labels: bool

    @classmethod
    def fit(
        cls,
        probability: np.ndarray,
        target: np.ndarray,
        evidence: Evidence,
    ) -> OutputTemperature:
        """Fit to classes (N,), or to labels (N, C) of 0 and 1."""
        labels = target.ndim == 2
        # Each label is a choice between two classes; all labels of a pattern share T.
        p, where = as_classes(probability, np.arange(len(target)), labels)
        y = target.reshape(-1).astype(np.int64)
        return cls(TemperatureScaling.fit(p, y, **evidence.of(where)), labels)

    def __call__(
        self, moments: Moments, probabilities: Tensor | None, pattern: Shaped[np.ndarray, " _B"]
    ) -> CalibratedOutput:
        """Soften or sharpen the probabilities; logits are divided by T, their variances stay."""
        assert probabilities is not None
        p, each = as_classes(as_float64(probabilities), pattern, self.labels)
        found = self.scaling.transform(p, each)
        value = found.value[:, 1].reshape(probabilities.shape) if self.labels else found.value
        seen = found.seen.reshape(len(pattern), -1)[:, 0]
        T = {name: self.scaling.temperature(name) for name in np.unique(pattern).tolist()}
        divisor = torch.tensor([T[name] for name in pattern.tolist()]).to(moments.mean)
        # p' is then what the head makes of the divided logit and its variance: both stay in step.
        cooled = replace(moments, mean=moments.mean / divisor.unsqueeze(-1))
        return CalibratedOutput(cooled, torch.from_numpy(value).to(probabilities), seen)

    def update_online(
        self,
        moments: Moments,
        probabilities: Tensor | None,
        target: np.ndarray,
        pattern: Shaped[np.ndarray, " _N"],
        step: float,
    ) -> OutputTemperature:
        """Update with classes (N,) or labels (N, C), all of which become known together."""
        assert probabilities is not None
        p, each = as_classes(as_float64(probabilities), pattern, self.labels)
        y = target.reshape(-1).astype(np.int64)
        # By rows, before the labels of a row share the step.
        check_step(step, pattern, True, largest_temperature_step(p.shape[1]))
        step /= len(y) // len(target)
        return replace(self, scaling=self.scaling.update_online(p, y, each, step, together=True)[1])

    def to_dataframe(self) -> pd.DataFrame:
        """Give one line per pattern."""
        return self.scaling.to_dataframe()


OutputMap = OutputVariance | OutputTemperature


def pattern_of(visible: Mapping[str, Tensor]) -> Shaped[np.ndarray, " B"]:
    """Name what is visible in every row, from masks (B, L_i)."""
    shown = torch.stack([v.any(-1) for v in visible.values()], -1)
    return mask_pattern(shown.cpu().numpy(), list(visible))


def rescaled(moments: Moments, ratio: Tensor) -> Moments:
    """Multiply the variance of every source, (B, C), by one ratio."""
    r = ratio.to(moments.mean)

    def times(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: value * r for name, value in values.items()}

    outer = (r.unsqueeze(-1) * r.unsqueeze(-2)).sqrt()
    covariances = moments.covariances
    if covariances is not None:
        covariances = {name: S * outer for name, S in covariances.items()}
    sources, errors = times(moments.sources), times(moments.errors)
    return replace(moments, sources=sources, errors=errors, covariances=covariances)


def variance_and_error(moments: Moments, target: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Total variance and squared error, each (N,), of every output."""
    s2, e2 = as_float64(moments.variance), np.square(target - as_float64(moments.mean))
    return list(zip(s2.T, e2.T, strict=True))


def as_classes(
    probability: np.ndarray, of_row: np.ndarray, labels: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N, C) and what is known of each row; labels become (N * C, 2), of 0 and 1."""
    if not labels:
        return probability, of_row
    return two_classes(probability.reshape(-1)), np.repeat(of_row, probability.shape[1])


def two_classes(p: np.ndarray) -> np.ndarray:
    """Probabilities (N,) of a label as (N, 2), of 0 and of 1."""
    return np.stack([1 - p, p], 1)
