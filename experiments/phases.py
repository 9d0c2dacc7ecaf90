"""Experiment 5: two phases, joint training, fine-tuning the fusion end to end, at equal budget.

    python -m experiments.phases --data digits --seeds 3 --workers 1

Every arm takes the same number of optimiser steps on the same rows, batches and masks.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

import sure_pyro as sp
from experiments.arms import ARMS, steps_of, train_arm
from experiments.common import Options, keep, load, options, show
from sure_pyro.comparison import Comparison, compare
from sure_pyro.comparison.recipe import Built, Filling
from sure_pyro.plots.style import points

EPOCHS = 40
SHOWN = ("score", "nll", "ece", "aurc", "reconstruction_error", "variance_ratio")
REFERENCE = "two phases"
CHOSEN = ("two phases", "joint", "reconstruction, then joint", "end to end", "modality dropout")


def cut(source: str, seed: int) -> tuple[sp.Batch, sp.Batch, sp.Batch]:
    """Training and validation rows, and the complete ones of the test rows."""
    train, validation, test = load(source).split(seed=seed)
    return train, validation, test.complete()


def masks_for(num_modalities: int) -> dict[str, Any]:
    """Evaluations by how many modalities are hidden, from none to all but one."""
    return {f"{k} hidden": partial(hidden, k=k) for k in range(num_modalities)}


def hidden(rows: sp.Batch, seed: int, k: int) -> sp.Batch:
    """Hide k modalities of every row at random."""
    return sp.missing.hide_exactly(rows, k, seed)


def run(o: Options) -> dict[str, Comparison]:
    """Fit and score all cells, by dataset."""
    epochs = o.epochs or EPOCHS
    arms: dict[str, Any] = {"filled with zeros": Filling("zero")}
    arms |= {arm: Built(partial(train_arm, arm=arm, epochs=epochs)) for arm in CHOSEN}
    return {
        name: compare(
            arms, {name: partial(cut, source)}, seeds=o.seeds,
            masks=masks_for(len(load(source).modalities)), reference=REFERENCE, out=o.cache,
            workers=o.workers, progress_bar=False,
        )
        for name, source in o.sources.items()
    }  # fmt: skip


def summary(results: dict[str, Comparison]) -> pd.DataFrame:
    """One line per dataset, mask and arm: means over seeds, and paired differences."""
    frames = []
    for result in results.values():
        t = result.to_dataframe()
        t = t[(t["kind"] == "mask") & t["metric"].isin(SHOWN)]
        by = ["data", "slice", "model"]
        wide = t.groupby([*by, "metric"], sort=False)["value"].mean().unstack("metric")
        wide = wide[[m for m in SHOWN if m in wide]]
        for name in ("score", "nll"):
            wide = wide.join(_differences(result, name), how="left")
        frames.append(wide.reset_index())
    return pd.concat(frames, ignore_index=True).rename(columns={"slice": "mask"})


def _differences(result: Comparison, name: str) -> pd.DataFrame:
    d = result.differences()
    d = d[(d["kind"] == "mask") & (d["metric"] == name)]
    d = d.set_index(["data", "slice", "model"])[["difference", "verdict"]]
    return d.rename(columns={c: f"{name}_{c}" for c in d})


def budget(o: Options, results: dict[str, Comparison]) -> pd.DataFrame:
    """Optimiser steps and seconds of every arm."""
    lines = []
    for name, source in o.sources.items():
        steps = steps_of(len(cut(source, 0)[0]), o.epochs or EPOCHS)
        t = results[name].to_dataframe()
        seconds = t[t["metric"] == "fit_seconds"].groupby("model", sort=False)["value"].mean()
        lines += [
            {"data": name, "model": model, "steps": steps if model in ARMS else 0, "fit_seconds": s}
            for model, s in seconds.items()
        ]
    return pd.DataFrame(lines)


def picture(table: pd.DataFrame) -> Figure:
    """Score and negative log-likelihood as modalities go missing; a row of panels per dataset."""
    names = list(dict.fromkeys(table["data"]))
    figure, axes = plt.subplots(
        len(names), 2, figsize=(9, 0.8 + 3.4 * len(names)), squeeze=False, layout="constrained"
    )
    for row, name in zip(axes, names, strict=True):
        t = table[table["data"] == name]
        for ax, metric, label in zip(row, ("score", "nll"), ("score", "NLL (nats)"), strict=True):
            for number, model in enumerate(dict.fromkeys(t["model"])):
                part = t[t["model"] == model]
                shift = 0.03 * (number - 2.5)  # so that equal arms can be told apart
                ax.plot(np.arange(len(part)) + shift, part[metric], label=model, **points(number))
            ax.set(title=name, xlabel="modalities hidden", ylabel=label, xticks=range(len(part)))
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncol=3, frameon=False)
    return figure


def main() -> None:
    """Run, print and keep."""
    o = options(__doc__)
    results = run(o)
    table, costs = summary(results), budget(o, results)
    show(table.set_index(["data", "mask", "model"]))
    show(costs)
    keep("phases", {"": table, "budget": costs}, picture(table), o.out)
    for failure in (f for result in results.values() for f in result.failures):
        print(f"failed: {failure}")


if __name__ == "__main__":
    main()
