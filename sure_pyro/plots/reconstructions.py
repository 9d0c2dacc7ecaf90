"""Reconstructions to look at, beside the truth: images in strips, everything else as curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Num

from sure_pyro.plots.band import plot_band
from sure_pyro.plots.images import plot_images
from sure_pyro.plots.panels import grid

Curve = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Truth, mean and standard deviation, (L,) each, in one unit."""


def plot_reconstructed_images(
    truth: Num[np.ndarray, "N H W"],
    mean: Num[np.ndarray, "N H W"],
    sd: Num[np.ndarray, "N H W"],
    axs: np.ndarray | None = None,
    *,
    seen: Num[np.ndarray, "N H W"] | None = None,
    framed: Bool[np.ndarray, "N H W"] | None = None,
    labels: Sequence[str] | None = None,
    limits: tuple[float, float] | None = None,
    unit: str = "value",
    name: str = "",
) -> np.ndarray:
    """Show images, what was seen of them, their reconstruction, and its standard deviation.

    Parameters
    ----------
    truth, mean, sd : ndarray, shape (N, H, W)
        In one unit.
    axs : ndarray of Axes, optional
        Three, or four with `seen`.
    seen : ndarray, shape (N, H, W), optional
        NaN where something was hidden.
    framed : bool ndarray, shape (N, H, W), optional
        Pixels that were reconstructed, where others were seen.
    labels : sequence of str, length N, optional
        Below the images.
    limits : (float, float), optional
        Ends of the scale; those of the truth by default.
    unit : str
    name : str
        Of the modality.

    Returns
    -------
    ndarray of Axes
    """
    axs = grid(3 if seen is None else 4, (9.0, 1.2), columns=1) if axs is None else axs
    limits = limits or (float(truth.min()), float(truth.max()))
    left = iter(axs.flat)
    title = f"{name}: truth" if name else "truth"
    plot_images(truth, next(left), limits=limits, title=title, unit=unit)
    if seen is not None:
        plot_images(seen, next(left), limits=limits, title="what the model saw", unit=unit)
    title = "reconstruction" if framed is None else "reconstruction (in the frame)"
    plot_images(mean, next(left), limits=limits, title=title, unit=unit, framed=framed)
    limits, title = (0.0, float(sd.max())), "standard deviation it states"
    plot_images(
        sd, next(left), limits=limits, title=title, unit=unit, labels=labels, cmap="cividis"
    )
    return axs


def plot_reconstructed_curves(
    curves: Mapping[str, Sequence[Curve]],
    axs: np.ndarray | None = None,
    *,
    xlabel: str = "feature",
    unit: str = "sd of the feature",
) -> np.ndarray:
    """Show curves with the band of two standard deviations in which they should lie.

    Parameters
    ----------
    curves : mapping of str to sequence of (truth, mean, sd)
        By modality: one row of panels each.
    axs : ndarray of Axes, shape (modalities, columns), optional
        Panels that are not needed are switched off.
    xlabel, unit : str

    Returns
    -------
    ndarray of Axes
    """
    if axs is None:
        columns = max(map(len, curves.values()))
        axs = grid(len(curves) * columns, (3.0, 2.1), columns=columns)
    for row, (name, examples) in zip(axs, curves.items(), strict=True):
        for ax, example in zip(row, examples, strict=False):
            plot_band(*example, ax, xlabel="", ylabel="")
        for ax in row[len(examples) :]:
            ax.set_axis_off()
        row[0].set_ylabel(f"{name}\n({unit})")
    for ax in axs[-1]:
        ax.set_xlabel(xlabel)
    axs[0, 0].legend(fontsize="small")
    return axs
