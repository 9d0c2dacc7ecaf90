"""Experiment 1: which objective and which guide is best, and when each objective degrades.

    python -m experiments.objectives --data digits avdigits.npz arem.npz mosi_clean.npz

Every objective and guide on equal rows, masks and backbones, over seeds; and the correlation of
uncertainty and error on the validation rows over the epochs, to see when each degrades.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from experiments.common import Options, keep, options, show
from sure_pyro.comparison import Comparison, compare
from sure_pyro.plots.style import line

OBJECTIVES = (
    "elbo", "sure", "elbo+pcc", "elbo+spearman", "elbo+kendall", "elbo+concordance",
    "beta-nll", "student-t", "crps", "faithful:elbo+pcc",
)  # fmt: skip
GUIDES = ("laplace", "dropout", "ensemble")
SHOWN = (
    "score", "nll", "ece", "reconstruction_error", "correlation_within", "correlation_attainable",
    "spearman_within", "variance_ratio", "reconstruction_coverage", "reconstruction_ause", "aurc",
    "fit_seconds",
)  # fmt: skip


def run(o: Options) -> Comparison:
    """Fit and score all cells."""
    return compare(
        [*OBJECTIVES, *GUIDES], o.sources, seeds=o.seeds, reference="elbo+pcc", out=o.cache,
        workers=o.workers, fit=o.fit,
    )  # fmt: skip


def summary(result: Comparison) -> pd.DataFrame:
    """One line per dataset and model: mean and standard deviation over seeds."""
    t = result.to_dataframe()
    t = t[(t["kind"] == "overall") & t["metric"].isin(SHOWN)]
    wide = t.groupby(["data", "model", "metric"], sort=False)["value"].agg(["mean", "std"])
    wide = wide.unstack("metric").swaplevel(axis=1)
    columns = [(m, s) for m in SHOWN for s in ("mean", "std") if (m, s) in wide]
    wide = wide[columns]
    wide.columns = [f"{m} {s}" for m, s in columns]
    return wide.reset_index()


def degradation(history: pd.DataFrame) -> pd.DataFrame:
    """For each model the best correlation over the epochs, when it was reached, and the last.

    Means over sites and seeds, smoothed over five epochs; epochs as a share of those that were run.
    """
    rows = []
    sites = [c for c in history if c.startswith("validation/rho/z_")]
    phases = history[history["phase"].isin(["reconstruction", "scale"])]
    for (data, model, seed), h in phases.groupby(["data", "model", "seed"], sort=False):
        rho = h[sites].mean(axis=1).rolling(5, min_periods=1, center=True).mean().to_numpy()
        at = int(np.argmax(rho))
        rows.append({
            "data": data, "model": model, "seed": seed, "epochs": len(rho), "best": rho[at],
            "best_epoch": at, "last": rho[-1], "lost": rho[at] - rho[-1],
        })  # fmt: skip
    return pd.DataFrame(rows)


def picture(result: Comparison) -> Figure:
    """Each objective's own correlation on validation rows over the epochs, a panel per dataset."""
    history = result.history
    sites = [c for c in history if c.startswith("validation/rho/z_")]
    names = list(dict.fromkeys(history["data"]))
    figure, axes = plt.subplots(
        1, len(names), figsize=(4.2 * len(names), 4.6), squeeze=False, layout="constrained"
    )
    for ax, data in zip(axes[0], names, strict=True):
        for number, model in enumerate(OBJECTIVES):
            h = history[(history["data"] == data) & (history["model"] == model)]
            h = h[h["phase"].isin(["reconstruction", "scale"])]
            rho = h.assign(rho=h[sites].mean(axis=1)).groupby("epoch")["rho"]
            mean = rho.mean()[rho.count() == rho.count().max()].rolling(5, min_periods=1).mean()
            ax.plot(mean.index + 1, mean, label=model, linewidth=1.3, **line(number))
        ax.set(title=data, xlabel="epoch", xscale="log")
    axes[0, 0].set_ylabel("correlation in the objective's own sense, validation")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncol=5, frameon=False
    )
    return figure


def main() -> None:
    """Run, print and keep."""
    o = options(__doc__)
    result = run(o)
    table, lost = summary(result), degradation(result.history)
    show(table.set_index(["data", "model"])[[c for c in table if c.endswith("mean")]])
    show(lost.groupby(["data", "model"], sort=False)[["best", "best_epoch", "last", "lost"]].mean())
    differences = result.differences()
    overall = differences[differences["kind"] == "overall"]
    tables = {"": table, "differences": overall, "degradation": lost}
    keep("objectives", tables, picture(result), o.out)
    for failure in result.failures:
        print(f"failed: {failure}")


if __name__ == "__main__":
    main()
