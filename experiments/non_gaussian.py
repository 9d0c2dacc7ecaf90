"""Experiment 6: what is left of each objective when reconstruction errors are not Gaussian.

    python -m experiments.non_gaussian --epochs 30 --seeds 2 --workers 1

Four shapes of error with one known conditional variance, nine objectives; how well the predicted
variance follows the true one, how large it is, and what the intervals made from it hold.
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.stats
import torch
from matplotlib.figure import Figure

import sure_pyro as sp
from experiments.cells import run_cells
from experiments.common import Options, keep, options, show
from experiments.error_shapes import SHAPES, Known, best_correlation, data_of_shape
from sure_pyro.backbones import Backbone
from sure_pyro.comparison.paired import paired_difference
from sure_pyro.metrics import correlation
from sure_pyro.objectives import CorrelationELBO
from sure_pyro.objectives.presets import DEFAULT_WEIGHT
from sure_pyro.objectives.scores.gaussian import Unchanged
from sure_pyro.plots.style import COLOURS, MARKERS

TRAIN, VALIDATION, TEST = 1500, 500, 4000
WIDTH, BATCH_SIZE, LEARNING_RATE = 64, 256, 5e-3
LEVELS = (0.5, 0.9, 0.99)
TRUTH = "truth"
ABSOLUTE = "elbo+pcc(sd, |e|)"
OBJECTIVES = (
    "elbo", "elbo+pcc", ABSOLUTE, "elbo+spearman", "sure", "student-t", "student-t+pcc", "laplace",
    "crps",
)  # fmt: skip
OWN = {
    "student-t": scipy.stats.t(5, scale=np.sqrt(3 / 5)),
    "laplace": scipy.stats.laplace(scale=np.sqrt(1 / 2)),
}
"""The distributions of variance 1 that two of the scores assume."""
SHOWN = (
    "rank_with_truth", "size", "pearson", "spearman", "variance_ratio", "coverage_50",
    "coverage_90", "coverage_99", "above_90", "nll", "own_nll", "own_coverage_99",
    "location_error", "largest",
)  # fmt: skip


class Untouched(Backbone):
    """The features themselves as latents, so that their conditional variance stays known."""

    def encode(self, batch):
        """See `Backbone.encode`."""
        return dict(batch.features)

    def fuse(self, latents):
        """See `Backbone.fuse`."""
        return torch.cat(list(latents.values()), -1)


def objective_of(name: str) -> Any:
    """What `fit` takes: a preset, or the correlation of standard deviation and absolute error."""
    if name != ABSOLUTE:
        return name
    return CorrelationELBO(DEFAULT_WEIGHT, uncertainty="sd", error="absolute"), Unchanged


def measure(
    shape: str, objective: str, seed: int, epochs: int | None, rows: tuple[int, int, int]
) -> dict[str, Any]:
    """Fit one objective to errors of one shape and score b given a on the test rows.

    Parameters
    ----------
    shape : str
    objective : str
        Or ``"truth"``: the true mean and variance are scored.
    seed : int
    epochs : int or None
    rows : (int, int, int)
        Of training, validation and test.
    """
    data, known = data_of_shape(shape, sum(rows), seed)
    cuts = np.split(np.arange(sum(rows)), np.cumsum(rows)[:2])
    train, validation, test = (data[k] for k in cuts)
    known = Known(known.mean[cuts[2]], known.variance[cuts[2]])
    if objective == TRUTH:
        loc, sigma = known.mean, np.sqrt(known.variance) * np.ones_like(known.mean)
    else:
        loc, sigma = fitted(train, validation, test, objective, seed, epochs)
    b = test.features["b"].double().numpy()
    own = OWN.get(objective.partition("+")[0], scipy.stats.norm())
    cell = {"shape": shape, "objective": objective, "seed": seed}
    return cell | scores(b, loc, sigma, known, own)


def fitted(train, validation, test, objective: str, seed: int, epochs: int | None):
    """Location and standard deviation of b given a on the test rows, in the units of b."""
    model = sp.SURE(Untouched(train.modalities), reconstructor_options={"width": WIDTH})
    sp.fit(
        model, train, validation, objective_of(objective), phases=("reconstruction",), seed=seed,
        epochs=epochs, batch_size=BATCH_SIZE, lr=LEARNING_RATE, progress_bar=False,
    )  # fmt: skip
    latents = model.encode(test)
    visible = {"a": latents.available["a"], "b": torch.zeros_like(latents.available["b"])}
    with torch.no_grad():
        found = model.reconstruct(latents, visible)["b"]
    mean, scale = (x.double().numpy() for x in model.space.moments("b"))
    loc, sigma = (x.squeeze(1).double().numpy() for x in (found.loc, found.scale))
    return loc * scale + mean, sigma * scale


def scores(b, loc, sigma, known: Known, own) -> dict[str, float]:
    """Everything that is said of one fit.

    ``size`` is the predicted over the true variance of a typical row (geometric mean), ``largest``
    the share of one row in the sum of squares that a Pearson correlation divides by.
    """
    u, e = np.square(sigma).mean(1), np.square(b - loc).mean(1)
    deviations, z = np.square(e - e.mean()), (b - loc) / sigma
    truth = known.variance[:, 0]
    found = {
        "rank_with_truth": correlation(u, truth, method="spearman"),
        "size": float(np.exp(np.log(u / truth).mean())),
        "pearson": correlation(u, e),
        "spearman": correlation(u, e, method="spearman"),
        "variance_ratio": float(u.mean() / e.mean()),
        "location_error": float(np.square(loc - known.mean).mean()),
        "largest": float(deviations.max() / deviations.sum()),
        "above_90": float((z > scipy.stats.norm.ppf(0.95)).mean()),
    }
    for prefix, family in {"": scipy.stats.norm(), "own_": own}.items():
        found[f"{prefix}nll"] = float((np.log(sigma) - family.logpdf(z)).mean())
        for level in LEVELS:
            inside = np.abs(z) <= family.ppf((1 + level) / 2)
            found[f"{prefix}coverage_{level * 100:.0f}"] = float(inside.mean())
    return found


def run(o: Options, rows: tuple[int, int, int] = (TRAIN, VALIDATION, TEST)) -> pd.DataFrame:
    """Fit and score all cells: a row for each shape, objective and seed."""
    cells = [
        (shape, objective, seed, o.epochs, rows)
        for seed in range(o.seeds) for shape in SHAPES for objective in (TRUTH, *OBJECTIVES)
    ]  # fmt: skip
    return pd.DataFrame(run_cells(measure, cells, o.cache / "non_gaussian", o.workers))


def summary(cells: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds, and the Pearson correlation of endless rows."""
    groups = cells.groupby(["shape", "objective"], sort=False)[list(SHOWN)]
    wide = groups.agg(["mean", "std"])
    wide.columns = [f"{metric} {statistic}" for metric, statistic in wide.columns]
    table = wide.reset_index()
    table.insert(2, "best pearson", [best_correlation(shape) for shape in table["shape"]])
    return table


def differences(cells: pd.DataFrame, reference: str = "elbo") -> pd.DataFrame:
    """Each objective minus the likelihood, paired by seed, in what matters most."""
    lines = []
    for shape in SHAPES:
        part = cells[cells["shape"] == shape]
        for metric in ("rank_with_truth", "nll", "location_error"):
            wide = part.pivot(index="seed", columns="objective", values=metric)
            for objective in (o for o in OBJECTIVES if o != reference):
                d = paired_difference(wide[objective].to_numpy(), wide[reference].to_numpy())
                lines.append({
                    "shape": shape, "metric": metric, "objective": objective,
                    "difference": d.estimate, "lower": d.lower, "upper": d.upper,
                })  # fmt: skip
    return pd.DataFrame(lines)


PANELS = {
    "rank_with_truth": "rank correlation of predicted\nand true variance",
    "size": "predicted / true variance\nof a typical row",
    "coverage_90": "coverage of Gaussian\n90 % intervals",
    "coverage_99": "coverage of Gaussian\n99 % intervals",
}
NOMINAL = {"size": 1.0, "coverage_90": 0.9, "coverage_99": 0.99}


def picture(cells: pd.DataFrame) -> Figure:
    """A panel for each question, a line for each objective, a marker for each shape."""
    figure, axes = plt.subplots(
        1, len(PANELS), figsize=(12, 4.8), sharey=True, layout="constrained"
    )
    order = [TRUTH, *OBJECTIVES]
    for ax, (metric, label) in zip(axes, PANELS.items(), strict=True):
        for number, shape in enumerate(SHAPES):
            part = cells[cells["shape"] == shape]
            wide = part.pivot(index="seed", columns="objective", values=metric)[order]
            places = np.arange(len(order)) + 0.17 * (number - 1.5)
            error = wide.std() if len(wide) > 1 else None
            ax.errorbar(wide.mean(), places, xerr=error, fmt=MARKERS[number], markersize=5,
                        color=COLOURS[number], linestyle="none", label=shape)  # fmt: skip
        if metric in NOMINAL:
            ax.axvline(NOMINAL[metric], color="0.5", linewidth=0.8)
        ax.set(xlabel=label)
        if metric == "size":
            ax.set_xscale("log")
            ax.set_xticks([0.7, 1, 1.5, 2, 3], ["0.7", "1", "1.5", "2", "3"])
            ax.minorticks_off()
        for edge in np.arange(len(order) - 1) + 0.5:
            ax.axhline(edge, color="0.9", linewidth=0.6)
    axes[0].set_yticks(range(len(order)), order)
    axes[0].set_ylim(len(order) - 0.5, -0.5)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncol=4,
                  frameon=False, title="shape of the errors")  # fmt: skip
    return figure


def main() -> None:
    """Run, print and keep."""
    o = options(__doc__)
    cells = run(o)
    table = summary(cells)
    show(table.set_index(["shape", "objective"])[[c for c in table if c.endswith("mean")]])
    keep("non_gaussian", {"": table, "differences": differences(cells)}, picture(cells), o.out)


if __name__ == "__main__":
    main()
