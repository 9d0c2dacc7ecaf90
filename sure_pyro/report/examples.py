"""Some reconstructions to look at: digits whole, images as images, everything else as curves.

The examples are the first test rows (of each class, for images), not chosen ones.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.models import Prediction
from sure_pyro.plots import plot_band, plot_images
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


def is_digits(modalities: tuple[str, ...], decoders: Mapping[str, Decoder]) -> bool:
    """Whether the modalities are the quadrants of the embedded digits."""
    return modalities == tuple(QUADRANTS) and all(d.shape == (16,) for d in decoders.values())


def digits_figure(
    masked: MaskedRows, prediction: Prediction, decoders: Mapping[str, Decoder], k: int
) -> Figure:
    """Ten digits with k quadrants hidden: truth, what was seen, reconstruction, its sd."""
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
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axs = figure.subplots(4, 1)
    grey = (0.0, 16.0)
    labels = _labels(masked, rows)
    plot_images(truth, axs[0], limits=grey, title="truth", unit="grey")
    plot_images(seen, axs[1], limits=grey, title="what the model saw", unit="grey")
    plot_images(
        filled,
        axs[2],
        limits=grey,
        title="reconstruction (in the frame)",
        unit="grey",
        framed=guessed,
    )
    plot_images(
        sd,
        axs[3],
        limits=(0.0, float(sd.max())),
        title="standard deviation it states",
        unit="grey",
        cmap="cividis",
        labels=labels,
    )
    return figure


def image_figure(
    masked: MaskedRows, prediction: Prediction, decoder: Decoder, name: str
) -> Figure | None:
    """Up to ten images of one modality that was hidden; None if it has no image form."""
    if len(decoder.shape) != 2 or min(decoder.shape) < IMAGE_SIDE:
        return None
    rows = _hidden_alone(masked, name)
    if not len(rows):
        return None
    rows = _first_of_each_class(masked, rows)
    truth = _features(masked, name, rows)
    mean, sd = _decoded(prediction, {name: decoder}, name, rows)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axs = figure.subplots(3, 1)
    limits = (float(truth.min()), float(truth.max()))
    plot_images(truth, axs[0], limits=limits, title=f"{name}: truth", unit="value")
    plot_images(mean, axs[1], limits=limits, title="reconstruction", unit="value")
    plot_images(
        sd,
        axs[2],
        limits=(0.0, float(sd.max())),
        title="standard deviation it states",
        unit="value",
        cmap="cividis",
        labels=_labels(masked, rows),
    )
    return figure


def curves_figure(
    masked: MaskedRows, prediction: Prediction, decoders: Mapping[str, Decoder]
) -> Figure | None:
    """Hidden modalities as curves with a band of two standard deviations, three rows of each."""
    names = [name for name in decoders if len(_hidden_alone(masked, name))]
    if not names:
        return None
    figure = Figure(figsize=(9, 2.1 * len(names)), layout="constrained")
    axs = figure.subplots(len(names), CURVES, squeeze=False, sharey="row")
    for line, name in zip(axs, names, strict=True):
        rows = _hidden_alone(masked, name)[:CURVES]
        truth = _features(masked, name, rows)
        mean, sd = _decoded(prediction, decoders, name, rows)
        center, scale = _spread(masked, name)
        for j, ax in enumerate(line):
            if j < len(rows):
                real, guess = ((x[j] - center) / scale for x in (truth, mean))
                spread = _curve(sd[j] / scale)
                plot_band(_curve(real), _curve(guess), spread, ax, xlabel="", ylabel="")
            else:
                ax.set_axis_off()
        line[0].set_ylabel(f"{name}\n(sd of the feature)")
    for ax in axs[-1]:
        ax.set_xlabel("time step" if len(next(iter(decoders.values())).shape) == 2 else "feature")
    axs[0, 0].legend(fontsize="small")
    return figure


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
