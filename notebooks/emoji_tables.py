"""What `emoji.py` found, as tables in Markdown and as a picture."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from sure_pyro.files import replacing
from sure_pyro.plots import style

ALL = "picture+name+keywords"
MASKS = ("picture+name", "picture+keywords", "name+keywords", "picture", "name", "keywords")
METHODS = ("zero", "mean", "SURE", "same latents", "ceiling")
WORDS = {
    "zero": "zeros",
    "mean": "mean of the training rows",
    "SURE": "SURE",
    "same latents": "one classifier per mask, same latents",
    "ceiling": "one classifier per mask, latents of its own",
}


def tables(found: Mapping) -> str:
    """All tables, one after the other."""
    parts = [
        ("Accuracy on the test part, in %, by what is visible", accuracy_table(found)),
        ("What is won over zeros, in points of accuracy", gain_table(found)),
        ("Negative log-likelihood on the test part", nll_table(found)),
        ("Reconstructions on the test part", latent_table(found)),
        ("Conformal sets of classes at 90 %", set_table(found)),
        ("Cost of one seed", cost_table(found)),
    ]
    return "\n\n".join(f"{title}\n\n{markdown(table)}" for title, table in parts)


def markdown(table: pd.DataFrame) -> str:
    """Table in Markdown, its index as the first column."""
    header = [table.index.name or "", *map(str, table.columns)]
    lines = [header, ["---"] * len(header)]
    lines += [[str(i), *map(str, row)] for i, row in zip(table.index, table.values, strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def by_seed(found: Mapping, method: str, mask: str, what: str = "accuracy") -> np.ndarray:
    """One number of every seed."""
    return np.array([seed["scores"][mask][method][what] for seed in found["seeds"]])


def spread(x: np.ndarray, digits: int = 1) -> str:
    """Mean and standard deviation over the seeds."""
    sd = f" ± {x.std(ddof=1):.{digits}f}" if len(x) > 1 else ""
    return f"{x.mean():.{digits}f}{sd}"


def accuracy_table(found: Mapping) -> pd.DataFrame:
    """One line per mask, one column per method, and the mean of the six masks."""
    lines = {}
    for mask in (ALL, *MASKS):
        lines[mask] = [spread(100 * by_seed(found, m, mask)) for m in METHODS]
    lines["mean of the six"] = [spread(100 * mean_of_masks(found, m)) for m in METHODS]
    return _frame(lines, [WORDS[m] for m in METHODS], "visible")


def mean_of_masks(found: Mapping, method: str, what: str = "accuracy") -> np.ndarray:
    """Of the six masks that hide something, for every seed."""
    return np.mean([by_seed(found, method, mask, what) for mask in MASKS], axis=0)


def nll_table(found: Mapping) -> pd.DataFrame:
    """As `accuracy_table`, with the recalibrated model."""
    methods = ("zero", "mean", "SURE", "SURE, recalibrated", "same latents", "ceiling")
    lines = {mask: [spread(by_seed(found, m, mask, "nll"), 2) for m in methods] for mask in MASKS}
    lines["mean of the six"] = [spread(mean_of_masks(found, m, "nll"), 2) for m in methods]
    return _frame(lines, [WORDS.get(m, m) for m in methods], "visible")


def gain_table(found: Mapping) -> pd.DataFrame:
    """Gains over zeros with their bootstrap interval, and shares of the ceilings' gains."""
    gains = {m: bootstrap(found, m) for m in ("mean", "SURE", "same latents", "ceiling")}
    lines = {}
    for method, (gain, low, high) in gains.items():
        shares = [f"{gain / gains[top][0]:.2f}" for top in ("same latents", "ceiling")]
        lines[WORDS[method]] = [f"{gain:+.1f} ({low:+.1f} to {high:+.1f})", *shares]
    columns = ["points (90 % interval)", "share of the same latents'", "share of the ceiling's"]
    return _frame(lines, columns, "method")


def bootstrap(found: Mapping, method: str, repetitions: int = 2000) -> tuple[float, float, float]:
    """Mean gain over zeros under the six masks, in points, with a 90 % interval.

    Seeds are averaged; what is drawn anew are families of emoji.
    """
    gain = np.mean(
        [np.subtract(s["right"][method], s["right"]["zero"]) for s in found["seeds"]], axis=0
    )
    hides, unit = np.array(found["hides"]), np.array(found["unit"])
    _, family = np.unique(unit[hides], return_inverse=True)
    total, count = (np.bincount(family, weights=w) for w in (gain[hides], np.ones(hides.sum())))
    draws = np.random.default_rng(0).integers(len(total), size=(repetitions, len(total)))
    means = 100 * total[draws].sum(1) / count[draws].sum(1)
    low, high = np.quantile(means, [0.05, 0.95])
    return 100 * float(total.sum() / count.sum()), float(low), float(high)


def latent_table(found: Mapping) -> pd.DataFrame:
    """Predicted over observed variance and coverage of 90 % intervals, before and after."""
    frame = pd.DataFrame([line for seed in found["seeds"] for line in seed["latents"]])
    order = [(mask, name) for mask in MASKS for name in ALL.split("+") if name not in mask]
    columns = {
        "mse_before": "squared error",
        "predicted_over_observed_before": "predicted / observed variance",
        "predicted_over_observed_after": "recalibrated",
        "normal_90_before": "within ± 1.64 sd, %",
        "normal_90_after": "recalibrated, %",
        "conformal_90": "conformal 90 %, %",
    }
    lines = {}
    for mask, name in order:
        rows = frame[(frame["mask"] == mask) & (frame["modality"] == name)]
        lines[f"{mask} → {name}"] = [
            spread(rows[c].to_numpy() * (100 if "90" in c else 1), 1 if "90" in c else 2)
            for c in columns
        ]
    return _frame(lines, list(columns.values()), "visible → reconstructed")


def set_table(found: Mapping) -> pd.DataFrame:
    """Coverage and mean size by mask."""
    lines = {}
    for mask in (ALL, *MASKS):
        each = [seed["sets"][mask] for seed in found["seeds"]]
        coverage = 100 * np.array([e["coverage"] for e in each])
        lines[mask] = [spread(coverage), spread(np.array([e["size"] for e in each]), 2)]
    return _frame(lines, ["coverage, %", "classes in a set"], "visible")


def cost_table(found: Mapping) -> pd.DataFrame:
    """Time and pictures encoded by step: the mean over seeds; what is done once comes first."""
    lines = {name: _cost(step, 1) for name, step in found["steps"].items()}
    for name in found["seeds"][0]["steps"]:
        each = [seed["steps"][name] for seed in found["seeds"]]
        mean = {k: float(np.mean([e[k] for e in each])) for k in each[0]}
        lines[name] = _cost(mean, 1)
    lines["peak memory"] = [f"{found['peak_memory_mb']:.0f} MB", "", ""]
    return _frame(lines, ["wall time, s", "processor time, s", "pictures encoded"], "step")


def _cost(step: Mapping, digits: int) -> list[str]:
    seconds = [f"{step[k]:.{digits}f}" for k in ("seconds", "cpu_seconds")]
    return [*seconds, f"{step['pictures_encoded']:.0f}"]


def _frame(lines: Mapping, columns: list[str], index: str) -> pd.DataFrame:
    frame = pd.DataFrame.from_dict(dict(lines), orient="index", columns=columns)
    frame.index.name = index
    return frame


def draw(found: Mapping, path: Path) -> None:
    """Accuracy by mask for zeros, mean, SURE and the ceiling, with the spread over seeds."""
    matplotlib.use("Agg")
    ax = style.axes(None, height=4.4)
    masks, methods = (*MASKS, ALL), ("zero", "mean", "SURE", "ceiling")
    for k, method in enumerate(methods):
        values = np.array([100 * by_seed(found, method, mask) for mask in masks])  # (masks, seeds)
        at = np.arange(len(masks)) + 0.16 * (k - 1.5)
        error = values.std(1, ddof=1) if values.shape[1] > 1 else None
        looks = {**style.points(k), "linestyle": "none", "markersize": 7}
        ax.errorbar(at, values.mean(1), yerr=error, capsize=3, label=WORDS[method], **looks)
    ax.set_xticks(range(len(masks)), [m.replace("+", "\n+ ") for m in masks], fontsize=8)
    ax.set_xlabel("visible")
    ax.set_ylabel("accuracy on the test part, %")
    ax.grid(axis="y", alpha=0.3)
    for x in range(len(masks) - 1):
        ax.axvline(x + 0.5, color="0.85", linewidth=0.8)
    ax.figure.legend(*ax.get_legend_handles_labels(), loc="outside upper center", ncols=2)
    with replacing(path) as temporary:
        ax.figure.savefig(temporary, dpi=150)
