"""Some reconstructions to look at, as arrays: digits whole, images as images, the rest as curves.

The examples are the first test rows (of each class, for images), not chosen ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.models import Prediction
from sure_pyro.report.decode import Decoder
from sure_pyro.report.reconstruction import classes

QUADRANTS = {
    "top_left": (slice(0, 4), slice(0, 4)),
    "top_right": (slice(0, 4), slice(4, 8)),
    "bottom_left": (slice(4, 8), slice(0, 4)),
    "bottom_right": (slice(4, 8), slice(4, 8)),
}
IMAGE_SIDE = 6  # features (H, W) with no side shorter are shown as images
CURVES, ENTRIES = 3, 60  # examples per modality, and entries of a long vector that are shown

Curve = tuple[np.ndarray, np.ndarray, np.ndarray]  # truth, mean, sd


@dataclass(frozen=True, eq=False)
class Images:
    """N images that were hidden, whole or in part, and their reconstructions.

    Parameters
    ----------
    truth, mean, sd : ndarray, shape (N, H, W)
    labels : list of str
        Classes, where they have names.
    seen : ndarray, shape (N, H, W), optional
        What the model saw, NaN elsewhere; None where it saw nothing.
    framed : bool ndarray, shape (N, H, W), optional
        What was reconstructed; None where all was.
    """

    truth: Float[np.ndarray, "N H W"]
    mean: Float[np.ndarray, "N H W"]
    sd: Float[np.ndarray, "N H W"]
    labels: list[str]
    seen: Float[np.ndarray, "N H W"] | None = None
    framed: Bool[np.ndarray, "N H W"] | None = None


def is_digits(modalities: tuple[str, ...], decoders: Mapping[str, Decoder]) -> bool:
    """Whether the modalities are the quadrants of the embedded digits."""
    return modalities == tuple(QUADRANTS) and all(d.shape == (16,) for d in decoders.values())


def digits(
    masked: MaskedRows, prediction: Prediction, decoders: Mapping[str, Decoder], k: int
) -> Images:
    """Ten digits with k quadrants hidden, put together again."""
    rows = _first_of_each_class(masked, np.flatnonzero(masked.hidden == k))
    truth, seen, filled, sd = (np.zeros((len(rows), 8, 8)) for _ in range(4))
    guessed = np.zeros((len(rows), 8, 8), dtype=bool)
    for i, (name, (y, x)) in enumerate(QUADRANTS.items()):
        shown = masked.batch.available[rows, i].numpy().reshape(-1, 1, 1)
        real = _features(masked, name, rows).reshape(-1, 4, 4)
        mean, spread = (
            part.reshape(-1, 4, 4) for part in _decoded(prediction, decoders, name, rows)
        )
        truth[:, y, x] = real
        seen[:, y, x] = np.where(shown, real, np.nan)
        filled[:, y, x] = np.where(shown, real, mean)
        sd[:, y, x] = np.where(shown, 0, spread)
        guessed[:, y, x] = ~shown
    return Images(truth, filled, sd, _labels(masked, rows), seen, guessed)


def images(
    masked: MaskedRows, prediction: Prediction, decoder: Decoder, name: str
) -> Images | None:
    """Up to ten images of one modality that was hidden; None if it has no image form."""
    rows = _hidden_alone(masked, name)
    if len(decoder.shape) != 2 or min(decoder.shape) < IMAGE_SIDE or not len(rows):
        return None
    rows = _first_of_each_class(masked, rows)
    mean, sd = _decoded(prediction, {name: decoder}, name, rows)
    return Images(_features(masked, name, rows), mean, sd, _labels(masked, rows))


def curves(
    masked: MaskedRows, prediction: Prediction, decoders: Mapping[str, Decoder]
) -> dict[str, list[Curve]]:
    """Up to three rows of each modality that was hidden alone, in sd of the feature."""
    found = {}
    for name in decoders:
        rows = _hidden_alone(masked, name)[:CURVES]
        if not len(rows):
            continue
        truth = _features(masked, name, rows)
        mean, sd = _decoded(prediction, decoders, name, rows)
        center, scale = _spread(masked, name)
        parts = zip((truth - center) / scale, (mean - center) / scale, sd / scale, strict=True)
        found[name] = [(_curve(x), _curve(m), _curve(s)) for x, m, s in parts]
    return found


def _first_of_each_class(masked: MaskedRows, rows: Int[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
    """First row of each of up to ten classes, or the first ten rows."""
    labels = classes(masked.batch)
    if labels is None:
        return rows[:10]
    return rows[np.unique(labels[rows], return_index=True)[1]][:10]


def _hidden_alone(masked: MaskedRows, name: str) -> Int[np.ndarray, " n"]:
    """Rows in which this modality was hidden and nothing else."""
    rows = masked.hidden_on_purpose(name)
    return rows[masked.hidden[rows] == 1]


def _features(masked: MaskedRows, name: str, rows: np.ndarray) -> Float[np.ndarray, "n ..."]:
    return as_float64(masked.complete.features[name][masked.row[rows]])


def _decoded(
    prediction: Prediction, decoders: Mapping[str, Decoder], name: str, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the features, from those of the latents."""
    loc, scale = (as_float64(part[rows].flatten(1)) for part in prediction.reconstruction[name])
    return decoders[name].mean(loc), decoders[name].sd(scale)


def _spread(masked: MaskedRows, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of the features over the rows that have them, for an axis without units."""
    i = masked.complete.modalities.index(name)
    x = as_float64(masked.complete.features[name][masked.complete.available[:, i]])
    scale = x.std(0)
    return x.mean(0), np.where(scale > 0, scale, 1.0)


def _curve(x: np.ndarray) -> Float[np.ndarray, " L"]:
    """First channel of a sequence, or the first entries of a vector."""
    return x[:, 0] if x.ndim == 2 else x.reshape(-1)[:ENTRIES]


def _labels(masked: MaskedRows, rows: np.ndarray) -> list[str]:
    labels, names = classes(masked.batch), masked.complete.class_names
    if labels is None or names is None:
        return [""] * len(rows)
    return [names[c] for c in labels[rows]]
