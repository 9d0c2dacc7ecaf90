"""Experiment 2: first-order propagation against sampling, dropout and ensembles, as variance grows.

    python -m experiments.propagation --data digits arem.npz --seeds 2

One fitted model per dataset and seed. The scale of its reconstructions is multiplied by a factor,
and the variance that reaches the output (on the scale of the logits, or of the standardised target)
is computed by Taylor and by 2000 draws; the latter is the truth of this comparison. Dropout and an
ensemble of reconstructors estimate an output variance in another way, from the spread of their
reconstructions, and do not know the factor. In the end the likelihood of the target counts.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.stats import spearmanr
from torch import Tensor

import sure_pyro as sp
from experiments.common import Options, keep, load, options, show
from sure_pyro.data.masked_rows import one_mask_each
from sure_pyro.guides import weight_guide
from sure_pyro.models import LocScale, Output
from sure_pyro.plots.style import points
from sure_pyro.propagation import Moments, cross_check, sampling, taylor
from sure_pyro.propagation.more import second_order

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)
GUIDES = ("dropout", "ensemble")
DRAWS = 2000
MEMBERS = 20
"""Draws of the weights."""


class Case(NamedTuple):
    """A fitted model and the test rows, each under one mask that hides something."""

    model: sp.SURE
    batch: sp.Batch
    target: Tensor


def fitted(source: str, seed: int, o: Options, guide: str | None = None) -> Case:
    """Fit a model, or find it in the cache."""
    train, validation, test = load(source).split(seed=seed)
    batch = one_mask_each(test, seed)
    batch = batch[(batch.available.sum(1) < test.available.sum(1)).nonzero()[:, 0]]
    folder = o.cache / "propagation" / f"{Path(source).stem}-{seed}-{o.epochs}-{guide}"
    if folder.exists():
        model = sp.SURE.load(folder)
    elif guide is None:
        backbone = sp.MLPBackbone.for_data(train, seed=seed)
        sp.pretrain(backbone, train, validation, seed=seed, progress_bar=False, **o.fit)
        model = sp.SURE(backbone)
        sp.fit(model, train, validation, seed=seed, progress_bar=False, **o.fit)
        model.save(folder)
    else:
        model = copy.deepcopy(fitted(source, seed, o).model)
        posterior = weight_guide(guide, over=("reconstructor",))
        sp.fit(
            model, train, validation, phases=(), guide=posterior, seed=seed, progress_bar=False,
            **o.fit,
        )  # fmt: skip
        model.save(folder)
    assert batch.target is not None
    return Case(model, batch, model.head.observed(batch.target))


@torch.no_grad()
def propagated(case: Case, factor: float, seed: int) -> dict[str, Moments]:
    """Moments of the outputs by each method, with the reconstruction scale times `factor`."""
    model = case.model.eval()
    latents = model.encode(case.batch)
    r = model.reconstruct(latents, latents.available)
    scaled = {name: LocScale(x.loc, factor * x.scale) for name, x in r.items()}
    mean, variance, exists = model.fusion_input(latents, latents.available, scaled)
    problem = {"fn": model.respond, "mean": mean, "variance": variance, "known": exists}
    return {
        "Taylor": taylor(**problem),
        "Taylor, second order": second_order(**problem, probes=8, seed=seed),
        "sampling": sampling(**problem, num_samples=DRAWS, seed=seed, by_source=False),
    }


def from_latents(m: Moments) -> Tensor:
    """Variance (B, C) without the head's own."""
    # Summed, not the head's subtracted from the total: small variances would drown in rounding.
    return torch.stack([s2 for name, s2 in m.sources.items() if name != "head"]).sum(0)


def nll(case: Case, mean: Tensor, variance: Tensor) -> float:
    """Negative log-likelihood of the target, in nats per row."""
    distribution = case.model.head.distribution(Output(mean, variance))
    return float(-distribution.log_prob(case.target).mean())


def line(case: Case, mean: Tensor, variance: Tensor, head: Tensor, truth: Tensor) -> dict:
    """How a variance (B, C) compares with the truth, and what the likelihood says of it."""
    rows = variance.mean(-1), truth.mean(-1)
    constant = any(bool((x == x[0]).all()) for x in rows)  # it ranks nothing
    ranks = np.nan if constant else spearmanr(*rows).statistic
    return {
        "variance / sampling": float(variance.sum() / truth.sum()),
        "rank correlation with sampling": float(ranks),
        "nll": nll(case, mean, variance + head),
    }


def measure(source: str, seed: int, o: Options) -> list[dict]:
    """All methods and factors for one dataset and seed."""
    case, lines = fitted(source, seed, o), []
    spread = {guide: by_guide(fitted(source, seed, o, guide), seed) for guide in GUIDES}
    for factor in FACTORS:
        methods = propagated(case, factor, seed)
        truth, head = from_latents(methods["sampling"]), methods["Taylor"].sources["head"]
        found = {
            name: line(case, m.mean, from_latents(m), m.sources["head"], truth)
            for name, m in methods.items()
        }
        found |= {
            name: line(case, mean, variance, head, truth)
            for name, (mean, variance) in spread.items()
        }
        mean = methods["Taylor"].mean
        found["none"] = line(case, mean, torch.zeros_like(truth), head, truth)
        words = cross_check(methods["Taylor"], methods["sampling"]).verdicts["total"]
        agree = float(np.mean([word == "agree" for word in words]))
        lines += [
            {"data": Path(source).stem, "seed": seed, "factor": factor, "method": name, **values}
            | ({"outputs that agree": agree} if name == "Taylor" else {})
            for name, values in found.items()
        ]
    return lines


def by_guide(case: Case, seed: int) -> tuple[Tensor, Tensor]:
    """Mean and spread of the outputs over draws of the reconstructor's weights, each (B, C)."""
    model, outputs = case.model.eval(), []
    assert model.weights is not None
    latents = model.encode(case.batch)
    own = {name: p.clone() for name, p in model.named_parameters()}
    with torch.no_grad():
        for s in range(MEMBERS):
            model.load_state_dict(model.weights.sample(seed + s), strict=False)
            loc = {n: x.loc for n, x in model.reconstruct(latents, latents.available).items()}
            zt = model.fill(latents, latents.available, loc)
            outputs.append(model.respond(zt, latents.exists(latents.available)).mean)
        model.load_state_dict(own, strict=False)
    y = torch.stack(outputs)
    return y.mean(0), y.var(0)


def picture(table: pd.DataFrame) -> Figure:
    """Variance over that of sampling, and likelihood, against the factor."""
    names = list(dict.fromkeys(table["data"]))
    figure, axes = plt.subplots(
        2, len(names), figsize=(4.6 * len(names), 6.6), squeeze=False, sharex=True,
        layout="constrained",
    )  # fmt: skip
    for column, data in enumerate(names):
        for row, value in enumerate(("variance / sampling", "nll")):
            ax = axes[row, column]
            part = table[table["data"] == data].groupby(["method", "factor"])[value].mean()
            for number, method in enumerate(dict.fromkeys(table["method"])):
                if not (value != "nll" and method in ("none", "sampling")):
                    curve = part[method]
                    ax.plot(curve.index, curve, label=method, **points(number))
            ax.set(xscale="log")
            ax.set_xticks(FACTORS, [f"{factor:g}" for factor in FACTORS])
            ax.minorticks_off()
        axes[0, column].axhline(1, color="0.6", linewidth=0.8, zorder=0)
        axes[0, column].set(yscale="log", title=data)
        axes[1, column].set_xlabel("reconstruction scale, times that of the model")
    axes[0, 0].set_ylabel("output variance over that of sampling")
    axes[1, 0].set_ylabel("NLL of the target (nats)")
    figure.legend(
        *axes[1, 0].get_legend_handles_labels(), loc="outside lower center", ncol=3, frameon=False
    )
    return figure


def main() -> None:
    """Run, print and keep."""
    o = options(__doc__, seeds=2)
    lines = []
    for source in o.data:
        for seed in range(o.seeds):
            lines += measure(source, seed, o)
    table = pd.DataFrame(lines)
    show(table.groupby(["data", "factor", "method"], sort=False).mean().drop(columns="seed"))
    keep("propagation", {"": table}, picture(table), o.out)


if __name__ == "__main__":
    main()
