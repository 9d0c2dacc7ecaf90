"""Images in one strip: truth, reconstruction and standard deviation below each other."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.axes
import numpy as np
from jaxtyping import Bool, Num

from sure_pyro.plots.style import axes


def plot_images(
    images: Num[np.ndarray, "N H W"],
    ax: matplotlib.axes.Axes | None = None,
    *,
    labels: Sequence[str] | None = None,
    limits: tuple[float, float] | None = None,
    framed: Bool[np.ndarray, "N H W"] | None = None,
    unit: str = "grey value",
    cmap: str = "gray_r",
    title: str = "",
) -> matplotlib.axes.Axes:
    """Show images side by side, at one scale, with a colour bar.

    Parameters
    ----------
    images : ndarray, shape (N, H, W)
        NaN is left blank and crossed out lightly: nothing was seen there.
    labels : sequence of str, length N, optional
        Below the images.
    limits : (float, float), optional
        Ends of the scale; the smallest and largest value by default.
    framed : bool ndarray, shape (N, H, W), optional
        Pixels that get an outline around them, such as those that were reconstructed.
    unit : str
        Of the values, on the colour bar.
    """
    ax = axes(ax)
    n, H, W = images.shape
    step = W + 1  # one column between images
    strip = np.full((H, n * step - 1), np.nan)
    outline = np.zeros(strip.shape, dtype=bool)
    for k, image in enumerate(images):
        strip[:, k * step : k * step + W] = image
        if framed is not None:
            outline[:, k * step : k * step + W] = framed[k]
    low, high = limits if limits else (float(np.nanmin(strip)), float(np.nanmax(strip)))
    _blank(ax, images, step)
    shown = ax.imshow(strip, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    if outline.any():
        _outline(ax, outline)
    ax.set_xticks([k * step + (W - 1) / 2 for k in range(n)], labels or [""] * n)
    ax.set_yticks([])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title, loc="left")
    if ax.figure is not None:
        ax.figure.colorbar(shown, ax=ax, label=unit, fraction=0.02, pad=0.01)
    return ax


def _blank(ax: matplotlib.axes.Axes, images: np.ndarray, step: int) -> None:
    """Hatch what was not seen, so that it is not taken for a light grey."""
    from matplotlib.patches import Rectangle

    for k, y, x in np.argwhere(np.isnan(images)):
        corner = (k * step + x - 0.5, y - 0.5)
        ax.add_patch(
            Rectangle(corner, 1, 1, fill=False, hatch="////", edgecolor="0.8", linewidth=0)
        )


def _outline(ax: matplotlib.axes.Axes, inside: np.ndarray) -> None:
    """Draw the border between pixels inside and outside."""
    padded = np.pad(inside, 1)
    for y, x in np.argwhere(padded[1:] != padded[:-1]):
        ax.plot([x - 1.5, x - 0.5], [y - 0.5, y - 0.5], color="#D55E00", linewidth=1)
    for y, x in np.argwhere(padded[:, 1:] != padded[:, :-1]):
        ax.plot([x - 0.5, x - 0.5], [y - 1.5, y - 0.5], color="#D55E00", linewidth=1)
