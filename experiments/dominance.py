"""Experiment 4: the dominant modality is absent. What is lost, what helps, and at what cost.

    python -m experiments.dominance --data digits mosi_clean.npz --seeds 3 --workers 1

Digits are made unbalanced: three quadrants are one modality, the halves of the fourth the two
others. In any other dataset the dominant modality is found: it is the one whose removal costs the
pretrained model most on validation rows. Remedies are trained with equal numbers of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

import sure_pyro as sp
from experiments.arms import train_arm
from experiments.common import Options, keep, load, options, show
from sure_pyro.backbones import Backbone
from sure_pyro.comparison import Comparison, compare
from sure_pyro.comparison.recipe import Built, Filling
from sure_pyro.evaluation.observed import Observed
from sure_pyro.evaluation.predicted import Predicted
from sure_pyro.plots.style import points

EPOCHS = 40
MORE = 4.0  # odds of the dominant modality where it is hidden more often
LEAST, MOST = 0.02, 20.0  # a modality without dominance is hidden as well; and largest odds
MASKS = ("all present", "dominant present", "dominant absent")
SHOWN = ("score", "nll", "ece", "reconstruction_error")
REFERENCE = "equal odds"


def unbalanced_digits() -> sp.Batch:
    """Three quadrants as the modality ``most``; ``left`` and ``right`` half of the last one."""
    digits = sp.load("digits")
    *most, last = (digits.features[name] for name in digits.modalities)
    halves = last.reshape(-1, 4, 4)
    return sp.from_arrays(
        {
            "most": torch.cat(most, -1),
            "left": halves[:, :, :2].flatten(1),
            "right": halves[:, :, 2:].flatten(1),
        },
        digits.target,
        class_names=digits.class_names,
    )


def cut(source: str, seed: int) -> tuple[sp.Batch, sp.Batch, sp.Batch]:
    """Training and validation rows, and the complete ones of the test rows."""
    batch = unbalanced_digits() if source == "digits" else load(source)
    train, validation, test = batch.split(seed=seed)
    return train, validation, test.complete()


# -- how dominant a modality is -------------------------------------------------------------------


def dominance(backbone: Backbone, train: sp.Batch, rows: sp.Batch) -> dict[str, float]:
    """What the score of the pretrained model loses on complete rows without each modality."""
    model, rows = sp.SURE(backbone).initialize(train), rows.complete()
    whole = pretrained_score(model, rows)
    parts = {name: others(rows, name) for name in rows.modalities}
    return {name: whole - pretrained_score(model, part) for name, part in parts.items()}


def pretrained_score(model: sp.SURE, rows: sp.Batch) -> float:
    """Accuracy, label accuracy or R² with the mean in place of what is missing."""
    predicted = Predicted.of_pretrained(model.pretrained(rows, "mean"), str(rows.task))
    return 1 - Observed.of(rows).loss(predicted).mean().item()


def odds_of(lost: Mapping[str, float]) -> dict[str, float]:
    """Odds in proportion to what is lost, 1 for the least dominant modality."""
    kept = {name: max(x, LEAST) for name, x in lost.items()}
    least = min(kept.values())
    return {name: min(x / least, MOST) for name, x in kept.items()}


def by_dominance(train, validation, *, backbone, seed, arm: str, epochs: int) -> sp.SURE:
    """Arm whose odds are measured on the validation rows of this very seed."""
    odds = odds_of(dominance(backbone, train, validation))
    return train_arm(
        train, validation, backbone=backbone, seed=seed, arm=arm, epochs=epochs, odds=odds
    )


def measured(source: str, seeds: int) -> pd.DataFrame:
    """Dominance by seed and modality, and what a model of the other modalities alone reaches."""
    lines = []
    for seed in range(seeds):
        train, validation, test = cut(source, seed)
        lost = dominance(pretrained(train, validation, seed), train, validation)
        strongest, odds = max(lost, key=lost.__getitem__), odds_of(lost)
        alone = [only_others(part, strongest) for part in (train, validation, test)]
        model = sp.SURE(pretrained(*alone[:2], seed)).initialize(alone[0])
        reached = pretrained_score(model, alone[2])
        lines += [
            {"data": Path(source).stem, "seed": seed, "modality": name, "lost": lost[name],
             "odds": odds[name], "others_alone": reached if name == strongest else np.nan}
            for name in lost
        ]  # fmt: skip
    return pd.DataFrame(lines)


def pretrained(train: sp.Batch, validation: sp.Batch, seed: int) -> Backbone:
    """The backbone that `compare` makes as well."""
    backbone = sp.MLPBackbone.for_data(train, seed=seed)
    return sp.pretrain(backbone, train, validation, seed=seed, progress_bar=False)


def only_others(rows: sp.Batch, name: str) -> sp.Batch:
    """Complete rows, as if a modality did not exist."""
    rows = rows.complete()
    features = {n: x for n, x in rows.features.items() if n != name}
    return sp.from_arrays(features, rows.target, task=rows.task, class_names=rows.class_names)


# -- masks ----------------------------------------------------------------------------------------


def others(rows: sp.Batch, name: str) -> sp.Batch:
    """Hide one modality."""
    return sp.missing.pattern(rows, [n for n in rows.modalities if n != name])


def all_present(rows: sp.Batch, seed: int) -> sp.Batch:
    """Hide nothing."""
    return rows


def dominant_absent(rows: sp.Batch, seed: int, name: str) -> sp.Batch:
    """Hide the dominant modality alone."""
    return others(rows, name)


def dominant_present(rows: sp.Batch, seed: int, name: str) -> sp.Batch:
    """Hide others: one or more, all numbers and choices alike."""
    generator = torch.Generator().manual_seed(seed)
    M = len(rows.modalities)
    order = torch.rand(len(rows), M, generator=generator)
    order[:, rows.modalities.index(name)] = 2.0  # the last to go, and at most M - 1 go
    number = torch.randint(1, M, (len(rows), 1), generator=generator)
    return rows.restrict(order.argsort(1).argsort(1) >= number)


def masks_for(name: str) -> dict[str, Callable]:
    """The three evaluations, by name."""
    return {
        "all present": all_present,
        "dominant present": partial(dominant_present, name=name),
        "dominant absent": partial(dominant_absent, name=name),
    }


# -- the comparison -------------------------------------------------------------------------------


def remedies(name: str, epochs: int) -> dict[str, Any]:
    """The models that are compared, for a dominant modality."""
    arm = partial(built, epochs=epochs)
    return {
        "filled with the mean": Filling("mean"),
        REFERENCE: arm(train_arm, arm="two phases"),
        f"{MORE:g} times the odds": arm(train_arm, arm="two phases", odds={name: MORE}),
        "odds by dominance": arm(by_dominance, arm="two phases"),
        "task gradients": arm(train_arm, arm="reconstruction, then joint"),
        "task gradients, by dominance": arm(by_dominance, arm="reconstruction, then joint"),
        "fusion tuned, by dominance": arm(by_dominance, arm="reconstruction, then fusion"),
    }


def built(function: Callable, **options: Any) -> Built:
    """A model that `function` trains with these options."""
    return Built(partial(function, **options))


def run(o: Options) -> tuple[dict[str, Comparison], pd.DataFrame]:
    """Fit and score all cells, by dataset; and how dominant the modalities are."""
    found, lost = {}, []
    for name, source in o.sources.items():
        lost.append(measured(source, o.seeds))
        strongest = lost[-1].groupby("modality")["lost"].mean().idxmax()
        found[name] = compare(
            remedies(str(strongest), o.epochs or EPOCHS), {name: partial(cut, source)},
            seeds=o.seeds, masks=masks_for(str(strongest)), reference=REFERENCE, out=o.cache,
            workers=o.workers, progress_bar=False,
        )  # fmt: skip
    return found, pd.concat(lost, ignore_index=True)


def summary(results: Mapping[str, Comparison]) -> pd.DataFrame:
    """One line per dataset, mask and model: means over seeds, and the paired difference."""
    frames = []
    for result in results.values():
        t = result.to_dataframe()
        seconds = t[t["metric"] == "fit_seconds"].groupby("model")["value"].mean()
        t = t[(t["kind"] == "mask") & t["metric"].isin(SHOWN)]
        by = ["data", "slice", "model"]
        wide = t.groupby([*by, "metric"], sort=False)["value"].mean().unstack("metric")
        scores = t[t["metric"] == "score"].groupby(by, sort=False)["value"].std()
        wide = wide[[m for m in SHOWN if m in wide]].assign(score_sd=scores)
        wide = wide.join(_differences(result), how="left").reset_index()
        frames.append(wide.assign(fit_seconds=wide["model"].map(seconds)))
    return pd.concat(frames, ignore_index=True).rename(columns={"slice": "mask"})


def _differences(result: Comparison) -> pd.DataFrame:
    """Score minus that of the reference, with its interval over seeds, by data, mask, model."""
    d = result.differences()
    d = d[(d["kind"] == "mask") & (d["metric"] == "score")]
    d = d.set_index(["data", "slice", "model"])[["difference", "lower", "upper", "verdict"]]
    return d.rename(columns={"difference": "gain"})


def picture(table: pd.DataFrame, lost: pd.DataFrame) -> Figure:
    """Score of every remedy under each mask, one panel per dataset."""
    names = list(dict.fromkeys(table["data"]))
    models = list(dict.fromkeys(table["model"]))
    figure, axes = plt.subplots(
        1, len(names), figsize=(1.5 + 4.2 * len(names), 4.2), squeeze=False, sharey=True,
        layout="constrained",
    )  # fmt: skip
    for ax, name in zip(axes[0], names, strict=True):
        t = table[table["data"] == name]
        for number, mask in enumerate(MASKS):
            part = t[t["mask"] == mask].set_index("model").reindex(models)
            y = np.arange(len(models)) + 0.22 * (number - 1)
            ax.errorbar(
                part["score"], y, xerr=part["score_sd"], label=mask, capsize=2,
                **{**points(number), "linestyle": "none"},
            )  # fmt: skip
        alone = lost[lost["data"] == name]["others_alone"].mean()
        ax.axvline(alone, color="0.4", linestyle=":", label="a model of the others alone")
        ax.set(title=name, xlabel="score", yticks=range(len(models)), yticklabels=models)
    axes[0, 0].invert_yaxis()
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncol=4, frameon=False
    )
    return figure


def main() -> None:
    """Run, print and keep."""
    o = options(__doc__)
    results, lost = run(o)
    table = summary(results)
    show(lost)
    show(table.set_index(["data", "mask", "model"]))
    keep("dominance", {"": table, "measured": lost}, picture(table, lost), o.out)
    for failure in (f for result in results.values() for f in result.failures):
        print(f"failed: {failure}")


if __name__ == "__main__":
    main()
