"""The three objectives side by side, over seeds: what is won back, and the variance's quality.

    python -m benchmarks.objectives digits PATH.npz --seeds 3

For each dataset, seed and objective: a small backbone is pretrained and frozen, both phases are
fitted with the defaults of `sure_pyro.fit`, and every test row is scored under a random mask of
every size (see `sure_pyro.data.masked_rows`). Nothing is tuned to the test part. Prints mean and
spread over the seeds, and writes every number to ``benchmarks/results/objectives.csv``.
"""

import argparse
from pathlib import Path

import pandas as pd

import sure_pyro as sp
from sure_pyro.data.masked_rows import draw_masks
from sure_pyro.evaluation.slices import RANDOM
from sure_pyro.report.measure import measure, observe

OBJECTIVES = ("sure", "elbo", "elbo+pcc")
RESULTS = Path(__file__).parent / "results" / "objectives.csv"


def load(source: str) -> sp.Batch:
    """An embedded set by name, or a file in the canonical form."""
    data = sp.load_npz(source) if source.endswith(".npz") else sp.load(source)
    return sp.resolve_partial(data, "absent")


def score(data: sp.Batch, objective: str, seed: int) -> dict[str, float]:
    """Fit once, and measure over all masks that hide something."""
    train, validation, test = data.split(seed=seed)
    backbone = sp.MLPBackbone.for_data(train, seed=seed)
    sp.pretrain(backbone, train, validation, seed=seed, progress_bar=False)
    model = sp.SURE(backbone)
    sp.fit(model, train, validation, objective, seed=seed, progress_bar=False)
    masked = draw_masks(test, seed=seed)
    found = measure(observe(model, masked, num_samples=300, seed=seed), masked, seed=seed)[RANDOM]
    task, u, p = found.task, found.uncertainty, found.propagation
    return {
        "full": task.full,
        "zero filling": task.zero,
        "mean filling": task.mean,
        "reconstruction": task.sure,
        "won back": (task.sure - task.zero) / (task.full - task.zero),
        "error": u.actual,
        "within": u.within,
        "attainable": u.attainable,
        "pooled": u.pooled,
        "variance ratio": u.ratio,
        "nll point": p.nll["none"],
        "nll taylor": p.nll["taylor"],
        "nll sampling": p.nll["sampling"],
    }


def main() -> None:
    """Fit all cells, print mean and spread over the seeds, write every number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help="names of embedded sets, or .npz files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = []
    for source in options.data:
        data = load(source)
        for seed in range(options.seeds):
            for objective in OBJECTIVES:
                cell = {"data": Path(source).stem, "objective": objective, "seed": seed}
                rows.append(cell | score(data, objective, seed))
                print(" ".join(f"{k}={v:.3f}" if isinstance(v, float) else f"{v}"
                               for k, v in rows[-1].items()), flush=True)  # fmt: skip
    frame = pd.DataFrame(rows)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(options.out, index=False, float_format="%.4f")
    summary = frame.drop(columns="seed").groupby(["data", "objective"]).agg(["mean", "std"])
    print(summary.T.unstack().to_string(float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
