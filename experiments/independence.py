"""Experiment 3: what happens as modalities lose what they have in common.

    python -m experiments.independence --epochs 30 --seeds 2 --workers 1

The common part is taken away step by step until reconstruction stops helping: where that is,
whether the uncertainty says so, and what it does to the task and its calibration.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

import sure_pyro as sp
from experiments.common import Options, keep, options, show
from experiments.decorrelate import Parts, dials
from sure_pyro.comparison import Comparison, compare
from sure_pyro.comparison.recipe import Built, Filling
from sure_pyro.data.masked_rows import draw_masks
from sure_pyro.evaluation.hidden import hidden_latents
from sure_pyro.identity import digest, of_batch
from sure_pyro.metrics import reconstructability
from sure_pyro.plots.style import points

SURE, PRIOR, ZERO, MEAN = "SURE", "prior", "zero", "mean"
GAINS = ("score", "nll", "ece")
SHOWN = (
    "score", "nll", "ece", "aurc", "variance_ratio", "correlation_within", "correlation_pooled",
    "correlation_attainable", "spearman_within", "reconstruction_coverage",
)  # fmt: skip
VERDICTS = ("nothing", "the class only", "little", "part", "most")
REPETITIONS = 100
"""Of the bootstrap behind each verdict."""


def fit_sure(train, validation, *, backbone, seed: int, epochs: int | None, folder: str):
    """SURE as it is by default; kept in a folder, for what `compare` does not measure."""
    model = sp.SURE(backbone)
    sp.fit(model, train, validation, seed=seed, progress_bar=False, **_given(epochs))
    model.save(_place(folder, train, seed, epochs))
    return model


def fit_prior(train, validation, *, backbone, seed: int, epochs: int | None):
    """The control that reconstructs nothing: every hidden latent is its mean, with variance 1.

    A reconstructor of zeros says just that. The head is trained as that of SURE is, under gaps.
    """
    model = sp.SURE(backbone).initialize(train)
    with torch.no_grad():
        for parameter in model.reconstructor.parameters():
            parameter.zero_()
    sp.fit(model, train, validation, phases=("head",), seed=seed, progress_bar=False,
           **_given(epochs))  # fmt: skip
    return model


def run(o: Options, levels: dict[str, Callable[[int], Parts]]) -> Comparison:
    """Fit and score all cells."""
    folder = str(o.cache / "independence")
    models = {
        SURE: Built(partial(fit_sure, epochs=o.epochs, folder=folder)),
        PRIOR: Built(partial(fit_prior, epochs=o.epochs)),
        ZERO: Filling("zero"),
        MEAN: Filling("mean"),
    }
    return compare(
        models, levels, seeds=o.seeds, reference=PRIOR, out=o.cache, workers=o.workers,
        pretraining=_given(o.epochs),
    )  # fmt: skip


def reconstructed(o: Options, levels: dict[str, Callable[[int], Parts]]) -> pd.DataFrame:
    """What was reconstructed at every level: a row for each seed and hidden modality.

    R^2 with its bootstrap interval over rows, between and within classes; the verdict on it; and
    the predicted variance. Rows that are tested under several masks are drawn together.
    """
    lines = []
    for data, cut in levels.items():
        for seed in range(o.seeds):
            train, _, test = cut(seed)
            model = sp.SURE.load(_place(o.cache / "independence", train, seed, o.epochs))
            masked = draw_masks(test, seed)
            hidden = hidden_latents(model, masked, model.predict(masked.batch).reconstruction)
            for target, h in hidden.items():
                found = reconstructability(
                    h.truth, h.loc, np.zeros(h.truth.shape[1]),
                    test.target.numpy()[masked.row[h.where]], groups=masked.unit[h.where],
                    repetitions=REPETITIONS,
                )  # fmt: skip
                predicted = {"predicted": float(np.square(h.sigma).mean()), "entries": h.truth.size}
                lines.append({"data": data, "seed": seed, "target": target, **predicted,
                              **_flat(found)})  # fmt: skip
    return pd.DataFrame(lines)


def summary(result: Comparison, found: pd.DataFrame) -> pd.DataFrame:
    """One line for each level: what was reconstructed, what was predicted, and what it was worth.

    Means over seeds. The gains are those of SURE over each of the others with their 90 % interval,
    positive where SURE is better.
    """
    shown = {data: result.summary(data)[list(SHOWN)].xs("mean", axis=1, level=1)
             for data in result.tasks}  # fmt: skip
    lines = []
    for data, means in shown.items():
        part = found[found["data"] == data]
        line: dict[str, Any] = {"data": data, **_reconstruction(part)}
        line |= {metric: means.loc[SURE, metric] for metric in SHOWN}
        line |= {f"{m} {model}": means.loc[model, m] for model in (PRIOR, ZERO, MEAN)
                 for m in GAINS}  # fmt: skip
        lines.append(line)
    table = pd.DataFrame(lines).set_index("data")
    for reference in (PRIOR, ZERO, MEAN):
        gains = _gains(result, reference)
        table = table.join(gains.add_prefix(f"over {reference}: "))
    return table.reset_index()


def _gains(result: Comparison, reference: str) -> pd.DataFrame:
    t = result.differences(reference)
    t = t[(t["model"] == SURE) & (t["kind"] == "overall") & t["metric"].isin(GAINS)]
    sign = np.where(t["metric"] == "score", 1.0, -1.0)
    ends = np.sort(np.stack([sign * t["lower"], sign * t["upper"]]), axis=0)
    t = t.assign(gain=sign * t["difference"], low=ends[0], high=ends[1])
    wide = t.pivot(index="data", columns="metric", values=["gain", "low", "high"])
    wide.columns = [f"{metric} {what}" for what, metric in wide.columns]
    return wide


def _reconstruction(part: pd.DataFrame) -> dict[str, Any]:
    """Means over targets (by their entries) and seeds, and how often each verdict was given."""

    def mean(column: str) -> float:
        return float(np.average(part[column], weights=part["entries"]))

    counts = part["verdict"].value_counts()
    verdicts = ", ".join(f"{counts[v]} {v}" for v in VERDICTS if v in counts)
    names = ("r2", "r2 lower", "r2 upper", "between", "within", "predicted")
    found = {name: mean(name) for name in names}
    return {**found, "predicted r2": 1 - found["predicted"], "verdicts": verdicts}


def _flat(found) -> dict[str, Any]:
    return {
        "r2": found.r2.estimate, "r2 lower": found.r2.lower, "r2 upper": found.r2.upper,
        "between": found.between.estimate, "within": found.within.estimate,
        "verdict": found.verdict,
    }  # fmt: skip


def _place(folder: str | Path, train: sp.Batch, seed: int, epochs: int | None) -> Path:
    return Path(folder) / digest([of_batch(train), seed, epochs])


def _given(epochs: int | None) -> dict[str, int]:
    return {} if epochs is None else {"epochs": epochs}


def picture(table: pd.DataFrame) -> Figure:
    """A row for each dial, independence to the right: reconstruction, correlation, gain."""
    kinds = list(dict.fromkeys(name.rpartition(" ")[0] for name in table["data"]))
    figure, axes = plt.subplots(
        len(kinds), 3, figsize=(12, 3.6 * len(kinds)), squeeze=False, layout="constrained"
    )
    for row, kind in zip(axes, kinds, strict=True):
        t = table[table["data"].str.rpartition(" ")[0] == kind]
        level = t["data"].str.rpartition(" ")[2].astype(float).to_numpy()
        _draw(row[0], level, t, {"r2": "R² of the reconstruction", "within": "R² within classes",
                                 "predicted r2": "R² as predicted (1 - variance)"})  # fmt: skip
        row[0].fill_between(level, t["r2 lower"], t["r2 upper"], color="0.85", linewidth=0)
        _draw(row[1], level, t, {"correlation_within": "within masks, reached",
                                 "correlation_attainable": "within masks, attainable",
                                 "correlation_pooled": "pooled over masks"})  # fmt: skip
        _draw_gains(row[2], level, t)
        _label(row, kind, level)
    return figure


def _draw(ax, level: np.ndarray, t: pd.DataFrame, columns: dict[str, str]) -> None:
    for number, (column, label) in enumerate(columns.items()):
        ax.plot(level, t[column], label=label, **points(number))


def _draw_gains(ax, level: np.ndarray, t: pd.DataFrame) -> None:
    for number, reference in enumerate((PRIOR, ZERO, MEAN)):
        gain, low, high = (t[f"over {reference}: nll {what}"] for what in ("gain", "low", "high"))
        bars = np.stack([gain - low, high - gain])
        bars = np.where(np.isfinite(bars), bars, 0)  # one seed gives no interval
        ax.errorbar(level, gain, yerr=bars, capsize=3, label=f"over {reference}", **points(number))


def _label(row, kind: str, level: np.ndarray) -> None:
    dial = "common share of variance →" if kind == "synthetic" else "share of rows scrambled →"
    titles = ("what is reconstructed and predicted", "uncertainty and error", "gain of SURE")
    labels = ("R²", "correlation", "NLL saved (nats)")
    for ax, title, label in zip(row, titles, labels, strict=True):
        ax.axhline(0, color="0.5", linewidth=0.8)
        ax.set(title=f"{kind}: {title}", xlabel=dial, ylabel=label)
        ax.legend(fontsize="small", frameon=False)
        if kind == "synthetic":  # the dial turns down
            ax.set_xlim(level.max() + 0.05, level.min() - 0.05)


def main() -> None:
    """Run, print and keep."""
    o = options(__doc__, seeds=2)
    levels = dials(o.sources)
    result = run(o, levels)
    found = reconstructed(o, levels)
    table = summary(result, found)
    show(table.set_index("data").T)
    keep("independence", {"": table, "reconstructed": found}, picture(table), o.out)
    for failure in result.failures:
        print(f"failed: {failure}")


if __name__ == "__main__":
    main()
