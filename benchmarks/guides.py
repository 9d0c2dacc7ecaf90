"""What each guide over the weights costs on the digits, and what its source says.

``python -m benchmarks.guides``: fits SURE once (two phases), then each guide over the
same fitted weights. ``--members``: a training step of four members of an ensemble, stacked, against
one of a single network. CPU seconds, since wall time depends on what else runs.
"""

import argparse
import time
from pathlib import Path

import pandas as pd
import torch

import sure_pyro as sp
from sure_pyro.guides import weight_guide
from sure_pyro.models import hide
from sure_pyro.objectives import preset
from sure_pyro.training.members import (
    MemberHeadStep,
    MemberReconstructionStep,
    Stack,
    bayesian_bootstrap,
    fresh_parts,
    weighted,
)
from sure_pyro.training.steps import HeadStep, ReconstructionStep

GUIDES = {
    "map": ("head",),
    "mean-field": ("head",),
    "low-rank": ("head",),
    "laplace": ("head",),
    "laplace, both": ("reconstructor", "head"),
    "dropout": ("reconstructor", "head"),
    "swag": ("reconstructor", "head"),
    "ensemble": ("reconstructor", "head"),
}


def negative_log_likelihood(prediction, target):
    p = prediction.probabilities["taylor"]
    return -p[torch.arange(len(target)), target].log().mean().item()


def row(name, model, gappy, complete, seconds):
    start = time.process_time()
    prediction = model.predict(gappy)
    cost = time.process_time() - start
    whole = model.predict(complete)
    weights = prediction.variance.get("weights", torch.zeros(1))
    return {
        "guide": name,
        "fit, CPU s": seconds,
        "predict, CPU s": cost,
        "NLL, two of four missing": negative_log_likelihood(prediction, complete.target),
        "NLL, complete": negative_log_likelihood(whole, complete.target),
        "share of the weights": (weights.mean() / prediction.total.mean()).item(),
    }


def measure(guides, seed=0, epochs=None):
    train, val, test = sp.load("digits").split(seed=seed)
    backbone = sp.MLPBackbone.for_data(train, seed=seed)
    backbone = sp.pretrain(backbone, train, val, seed=seed, progress_bar=False)
    model = sp.SURE(backbone)
    options = {"seed": seed, "epochs": epochs, "progress_bar": False}
    gappy = sp.missing.hide_exactly(test, k=2, seed=seed)
    start = time.process_time()
    sp.fit(model, train, val, **options)
    rows = [row("none", model, gappy, test, time.process_time() - start)]
    for name in guides:
        guide = weight_guide(name.partition(",")[0], over=GUIDES[name])
        start = time.process_time()
        sp.fit(model, train, val, phases=(), guide=guide, **options)
        rows.append(row(name, model, gappy, test, time.process_time() - start))
        print(pd.DataFrame(rows).round(3).to_string(index=False), flush=True)
    return pd.DataFrame(rows)


def step_time(step, latents, rows, steps=30):
    """Median CPU milliseconds of a training step."""
    optimizer = torch.optim.AdamW(step.parameters_to_train(), foreach=True)
    times = []
    step.train()
    for _ in range(steps):
        batch = latents[torch.randperm(len(latents))[:rows]]
        visible = hide(batch)
        start = time.process_time()
        optimizer.zero_grad()
        step(batch, visible).backward()
        optimizer.step()
        times.append(time.process_time() - start)
    return 1000 * sorted(times)[steps // 2]


def measure_members(members=4):
    train, *_ = sp.load("digits").split(seed=0)
    model = sp.SURE(sp.MLPBackbone.for_data(train, seed=0)).initialize(train)
    latents, objective = model.encode(train), preset("elbo+pcc")
    stack = Stack(list(fresh_parts(model, members)))
    counts = bayesian_bootstrap(len(latents), members, model.space.like)
    heads = MemberHeadStep(model, *objective, Stack([model.head] * members), stack)
    pairs = {
        "phase 1": (
            step_time(ReconstructionStep(model, *objective), latents, 64),
            step_time(MemberReconstructionStep(model, *objective, stack), latents, 64),
        ),
        "phase 2": (
            step_time(HeadStep(model, *objective), latents, 128),
            step_time(heads, weighted(latents, counts), 128),
        ),
    }
    for phase, (one, many) in pairs.items():
        print(f"{phase}: one {one:.1f} ms, {members} members {many:.1f} ms, {many / one:.2f} times")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("guides", nargs="*", default=list(GUIDES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/guides.csv"))
    parser.add_argument("--members", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.members:
        return measure_members()
    measure(arguments.guides, arguments.seed, arguments.epochs).round(4).to_csv(
        arguments.out, index=False
    )


if __name__ == "__main__":
    main()
