"""All methods on one network: accuracy against cost, at three latent scales, as a picture."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks.propagation_accuracy import REFERENCE, rmse
from sure_pyro.propagation import Moments, sampling, taylor
from sure_pyro.propagation.more import moment_matching, second_order, unscented

SCALES = (0.1, 0.3, 1.0)
DRAWS = (16, 64, 256, 1024, 4096)
# Colours of Okabe and Ito, told apart by marker and dash in grey print.
STYLES = {
    "sampling, plain": ("#0072B2", "o", "-"),
    "sampling, Sobol": ("#E69F00", "s", "--"),
    "sampling, Taylor-controlled": ("#000000", "^", ":"),
    "Taylor, first order": ("#D55E00", "*", ""),
    "Taylor, second order": ("#D55E00", "P", ""),
    "Taylor, second order, 8 probes": ("#D55E00", "X", ""),
    "unscented": ("#009E73", "D", ""),
    "moment matching": ("#CC79A7", "v", ""),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(48, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10)]
    net = nn.Sequential(*layers).double()
    for layer in layers[::2]:
        layer.weight.data.mul_(2.5)  # as steep as a trained network; the initial one is near linear
    return net.eval().requires_grad_(False)


def accuracy_against_cost(repetitions: int = 5) -> list[dict[str, object]]:
    """Measure error and time of every method; lines of scale, method, draws, seconds, error."""
    net = network()
    mean = torch.randn(64, 48, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    lines = []
    for sd in SCALES:
        variance = torch.full_like(mean, sd**2)
        truth = sampling(net, mean, variance, num_samples=REFERENCE, seed=10**6).variance
        for method, draws, call in _methods(net, mean, variance):
            results, seconds = zip(*(_timed(call, s) for s in range(repetitions)), strict=True)
            error = rmse([y.variance for y in results], truth)
            lines.append(
                {
                    "latent_sd": sd,
                    "method": method,
                    "draws": draws,
                    "seconds": statistics.median(seconds),
                    "relative_error": error,
                }
            )
    return lines


def _methods(
    net: nn.Sequential, mean: torch.Tensor, variance: torch.Tensor
) -> list[tuple[str, int | None, Callable[[int], Moments]]]:
    args = (net, mean, variance)
    fixed: list[tuple[str, int | None, Callable[[int], Moments]]] = [
        ("Taylor, first order", None, lambda seed: taylor(*args)),
        ("Taylor, second order", None, lambda seed: second_order(*args)),
        (
            "Taylor, second order, 8 probes",
            None,
            lambda seed: second_order(*args, probes=8, seed=seed),
        ),
        ("unscented", None, lambda seed: unscented(*args)),
        ("moment matching", None, lambda seed: moment_matching(*args)),
    ]
    for n in DRAWS:
        for method, options in (
            ("sampling, plain", {}),
            ("sampling, Sobol", {"draws": "sobol"}),
            ("sampling, Taylor-controlled", {"control": "taylor"}),
        ):
            fixed.append(
                (
                    method,
                    n,
                    lambda seed, n=n, o=options: sampling(*args, num_samples=n, seed=seed, **o),
                )
            )
    return fixed


def _timed(call: Callable[[int], Moments], seed: int) -> tuple[Moments, float]:
    start = time.process_time()  # one thread: other programs do not count
    return call(seed), time.process_time() - start


def picture(lines: list[dict[str, object]], path: Path) -> None:
    """Draw the relative error over the time, one panel per latent scale."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(SCALES), figsize=(12, 4.8), sharey=True, sharex=True)
    for ax, sd in zip(axes, SCALES, strict=True):
        for method, (color, marker, line) in STYLES.items():
            points = [p for p in lines if p["latent_sd"] == sd and p["method"] == method]
            x, y = [p["seconds"] for p in points], [p["relative_error"] for p in points]
            style = {"color": color, "marker": marker, "linestyle": line or "none"}
            ax.plot(x, y, **style, label=method, markersize=9 if not line else 6)
        ax.axhline(0.05, color="0.6", linewidth=0.8, zorder=0)
        ax.axhspan(1e-3, (2 / REFERENCE) ** 0.5, color="0.85", zorder=0)
        ax.set(xscale="log", yscale="log", title=f"latent sd {sd:g}", xlabel="seconds, 64 rows")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("relative error of the variance\n(root mean square)")
    edge = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
    axes[0].annotate("5 % ", (1, 0.05), **edge)
    axes[0].annotate("error of the reference itself ", (1, 1.1e-3), **edge)
    axes[0].set_ylim(bottom=1e-3)
    for p in lines:
        if p["latent_sd"] == SCALES[0] and p["method"] == "sampling, plain":
            place = (p["seconds"], p["relative_error"])
            axes[0].annotate(f"{p['draws']}", place, (2, 6), textcoords="offset points", fontsize=8)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncol=4, frameon=False)
    figure.tight_layout(rect=(0, 0.13, 1, 1))
    figure.savefig(path, dpi=150)
    plt.close(figure)
