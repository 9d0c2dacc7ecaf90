"""What the prior on recalibration factors is worth where rows come in few groups.

    python -m benchmarks.calibration_prior digits PATH.npz --seeds 5 --models FOLDER

Takes the models that `benchmarks.calibration` keeps in FOLDER, and only their validation part: one
random half of its groups (rows, where there are none) calibrates the reconstructions, the other is
measured, twenty times. Prints and keeps, over all mask patterns of at least 50 rows, the root mean
square of the log ratio of predicted to actual variance, and the share of patterns in [0.9, 1.1]:
not calibrated, with the rows alone believed (an infinite prior), and by the default.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import sure_pyro as sp
from benchmarks.calibration import RESULTS, load, parts
from sure_pyro.calibration.arrays import VarianceRecalibration
from sure_pyro.data import every_mask
from sure_pyro.evaluation import hidden_latents

HALVES, MINIMUM_ROWS = 20, 50
HOW = ("not calibrated", "rows alone", "prior and groups")


def cells(source: str, seed: int, models: Path) -> Iterator[dict]:
    """Log ratio of every pattern in the half that was not calibrated on."""
    _, validation, _ = parts(load(source), seed, "")
    model = sp.SURE.load(models / f"{Path(source).stem}-elbo+pcc-{seed}")
    masked = every_mask(validation)
    reconstruction = model.predict(masked.batch, "none").reconstruction
    for target, h in hidden_latents(model, masked, reconstruction).items():
        arrays = (*h.pair(), masked.pattern[h.where], masked.row[h.where], masked.unit[h.where])
        for repetition in range(HALVES):
            rng = np.random.default_rng([seed, repetition])
            names = np.unique(masked.unit)
            half = np.isin(arrays[-1], rng.permutation(names)[: len(names) // 2])
            for how, pattern, ratio in measured(arrays, half):
                yield {"target": target, "how": how, "pattern": pattern, "log_ratio": ratio}


def measured(arrays: tuple[np.ndarray, ...], half: np.ndarray) -> Iterator[tuple[str, str, float]]:
    """Log of mean variance over mean squared error per pattern of the other half."""
    s2, e2, pattern, row, group = (array[half] for array in arrays)
    alone = VarianceRecalibration.fit(s2, e2, pattern, row=row, prior_scale=np.inf)
    default = VarianceRecalibration.fit(s2, e2, pattern, row=row, groups=group)
    s2, e2, pattern = (array[~half] for array in arrays[:3])
    after = (s2, alone.transform(s2, pattern).value, default.transform(s2, pattern).value)
    for name, rows in zip(*np.unique(pattern, return_counts=True), strict=True):
        if rows >= MINIMUM_ROWS:
            k = pattern == name
            for how, value in zip(HOW, after, strict=True):
                yield how, name, float(np.log(value[k].mean() / e2[k].mean()))


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help="names of embedded sets, or .npz files")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--models", type=Path, required=True, help="folder of the fitted models")
    options = parser.parse_args()
    found = pd.concat(
        pd.DataFrame(cells(source, seed, options.models)).assign(data=Path(source).stem)
        for source in options.data
        for seed in range(options.seeds)
    )
    squared, inside = found["log_ratio"] ** 2, found["log_ratio"].abs() < np.log(1.1)
    table = (
        found.assign(mean_square=squared, inside=inside)
        .groupby(["data", "how"], sort=False)
        .agg(
            cells=("inside", "size"),
            rms=("mean_square", lambda x: np.sqrt(x.mean())),
            median=("log_ratio", "median"),
            inside=("inside", "mean"),
        )
    )
    table.to_csv(RESULTS / "calibration_prior.csv", float_format="%.4f")
    print(table.to_string(float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
