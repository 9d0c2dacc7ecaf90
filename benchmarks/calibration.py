"""Sizes before and after recalibration per mask pattern, and deferral at equal budgets.

    python -m benchmarks.calibration digits PATH.npz --seeds 5 --models FOLDER

For each dataset and seed a small backbone is pretrained, both phases are fitted with the defaults
of `sure_pyro.fit`, and the model is kept in FOLDER; a fitted model that is there already is used.
Everything is calibrated on the validation part and measured on the test part, every row under every
mask that it can have. Nothing is tuned to the test part. ``--late`` cuts the validation part off
the end of the training part, whole groups in their order, instead of at random: for data whose
groups are weeks. ``--within`` leaves the test part alone: one half of the validation part (whole
groups) calibrates, the other is measured, which shows what the method does where nothing shifts.
``--exchangeable`` forgets groups and the author's test part and cuts all rows at random: held-out
rows are then like test rows, as every promise of a calibration assumes.
Results of a cell are kept beside its model; ``--again`` measures it once more.

Writes ``calibration_sizes.csv`` (variance ratio and coverage of 90 % intervals or sets, by target
and mask pattern, with a 90 % bootstrap interval over rows) and ``calibration_deferral.csv`` under
``benchmarks/results/``, and prints what share of the cells meets the band of issue and prose.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import sure_pyro as sp
from sure_pyro import calibration as cal
from sure_pyro.calibrated import hidden_latents
from sure_pyro.calibrated.arrays import as_float64
from sure_pyro.calibrated.doubt import doubt, loss
from sure_pyro.calibration.bootstrap import bootstrap_counts, interval
from sure_pyro.data import MaskedRows, every_mask

RESULTS = Path(__file__).parent / "results"
BUDGETS = (0.1, 0.2, 0.3, 0.5)
BANDS = {"variance ratio": (0.9, 1.1), "error ratio": (0.9, 1.1), "coverage": (0.88, 0.92)}
MINIMUM_ROWS = 100
GROUP = ["data", "part", "metric", "when"]


def load(source: str) -> sp.Batch:
    """An embedded set by name, or a file in the canonical form."""
    data = sp.load_npz(source) if source.endswith(".npz") else sp.load(source)
    return sp.resolve_partial(data, "absent")


def parts(data: sp.Batch, seed: int, cut: str) -> tuple[sp.Batch, sp.Batch, sp.Batch]:
    """Training, validation and test rows; "late": validation is the last quarter of the groups."""
    if cut == "exchangeable":
        return data.replace(group=None, test=None).split(seed=seed)
    train, validation, test = data.split(seed=seed)
    if cut != "late":
        return train, validation, test
    rest = sp.Batch.cat([train, validation])
    assert rest.group is not None
    groups = rest.group.unique()
    last = groups[int(0.75 * len(groups)) :]
    held_out = torch.isin(rest.group, last)
    return rest[~held_out], rest[held_out], test


def fitted(train: sp.Batch, validation: sp.Batch, objective: str, seed: int, where: Path):
    """The model of a cell, from its folder or fitted and put there."""
    if (where / "config.json").exists():
        return sp.SURE.load(where)
    backbone = sp.MLPBackbone.for_data(train, seed=seed)
    sp.pretrain(backbone, train, validation, seed=seed, progress_bar=False)
    model = sp.SURE(backbone)
    sp.fit(model, train, validation, objective, seed=seed, progress_bar=False)
    model.save(where)
    return model


# -- sizes ----------------------------------------------------------------------------------------


def measured(numerator, denominator, *, pattern: np.ndarray, **cell) -> Iterator[dict]:
    """Ratio of two means over rows within every pattern that has enough, with its interval."""
    for name in np.unique(pattern):
        k = pattern == name
        if k.sum() >= MINIMUM_ROWS:
            a, b = numerator[k], denominator[k]
            counts = bootstrap_counts(len(a), None, 300, seed=0)
            # A resample without a single error counts as a tenth of one: the ratio stays finite.
            found = interval(a.mean() / b.mean(), (counts @ a) / np.maximum(counts @ b, 0.1), 0.9)
            values = {"value": found.estimate, "lower": found.lower, "upper": found.upper}
            yield {**cell, "pattern": name, "rows": int(k.sum()), **values}


def of_variances(s2: np.ndarray, e2: np.ndarray, pattern: np.ndarray, **cell) -> Iterator[dict]:
    """Variance ratio, and coverage of the central 90 % intervals of a Gaussian."""
    inside = (e2 <= 1.6448536**2 * s2).mean(1)
    claimed, happened = s2.mean(1), e2.mean(1)
    yield from measured(claimed, happened, pattern=pattern, metric="variance ratio", **cell)
    yield from measured(inside, 1.0 + 0 * inside, pattern=pattern, metric="coverage", **cell)


def of_reconstructions(model: sp.SURE, p: sp.Prediction, masked: MaskedRows, when: str):
    pattern = masked.pattern
    for target, h in hidden_latents(model, masked, p.reconstruction).items():
        cell = {"part": "reconstruction", "target": target, "when": when}
        yield from of_variances(*h.pair(), pattern[h.where], **cell)


def of_outputs(p: sp.Prediction, masked: MaskedRows, when: str):
    y, pattern = masked.batch.target.numpy(), masked.pattern
    cell = {"part": "output", "target": "y", "when": when}
    if p.task == "regression":
        s2 = as_float64(p.total)
        yield from of_variances(s2, np.square(y.reshape(s2.shape) - as_float64(p.mean)), pattern,
                                **cell)  # fmt: skip
        return
    probability = as_float64(p.probabilities["taylor"])
    doubted, wrong = 1 - probability.max(1), cal.zero_one_loss(probability, y)
    yield from measured(doubted, wrong, pattern=pattern, metric="error ratio", **cell)
    ece = cal.per_pattern(cal.ece, probability, y, pattern=pattern, minimum_rows=MINIMUM_ROWS)
    for name, value, rows in zip(ece.pattern, ece.value, ece.rows, strict=True):
        yield {**cell, "metric": "ece", "pattern": name, "rows": rows, "value": value}


def of_conformal(model: sp.SURE, validation: sp.Batch, p: sp.Prediction, masked: MaskedRows):
    y, found = masked.batch.target.numpy(), sp.conformal(model, validation).predict(p)
    if isinstance(found, cal.Sets):
        hit = found.contains[np.arange(len(y)), y]
    else:
        inside = (found.lower <= y.reshape(found.lower.shape)) & (
            y.reshape(found.lower.shape) <= found.upper
        )
        hit = inside.all(1)
    cell = {"part": "conformal", "target": "y", "metric": "coverage", "when": "after"}
    yield from measured(1.0 * hit, np.ones(len(hit)), pattern=masked.pattern, **cell)


def sizes(model: sp.SURE, validation: sp.Batch, masked: MaskedRows) -> Iterator[dict]:
    """Every size before and after, cell by cell."""
    calibrated = sp.recalibrate(model, validation)
    for when, m in (("before", model), ("after", calibrated)):
        p = m.predict(masked.batch)
        yield from of_reconstructions(m, p, masked, when)
        yield from of_outputs(p, masked, when)
    yield from of_conformal(calibrated, validation, p, masked)


# -- deferral -------------------------------------------------------------------------------------


def deferral(model: sp.SURE, validation: sp.Batch, masked: MaskedRows) -> Iterator[dict]:
    """Error among the accepted rows at each budget: thresholds per pattern, and one for all.

    The thresholds come from the validation part, so the share of test rows that is deferred differs
    from the budget, by chance and by shift. So the one threshold is also cut at that very share.
    A calibrated doubt means the same under every mask, so there one threshold is per-mask already:
    that is why the model as it was fitted is decided on, too.
    """
    models = {"as fitted": model, "calibrated": sp.recalibrate(model, validation)}
    for kind, m in models.items():
        p = m.predict(masked.batch)
        options = {}
        if (
            p.task == "regression"
        ):  # wrong: off by more than half a standard deviation of the target
            options["tolerance"] = float(0.5 * validation.target.std())
        # For regression both scores are one.
        for score in ("error",) if p.task == "regression" else ("error", "sd"):
            for budget in BUDGETS:
                policy = sp.DeferralPolicy.fit(m, validation, budget=budget, score=score, **options)
                found = decided(policy, p, masked)
                yield {"model": kind, "score": score, "budget": budget, **found}


def decided(policy: sp.DeferralPolicy, p: sp.Prediction, masked: MaskedRows) -> dict[str, float]:
    """Coverage and risk of both kinds of threshold, and of one threshold at the same coverage."""
    table = policy.compare(p, masked.batch).iloc[0]
    names = ("coverage", "risk", "static_coverage", "static_risk")
    row = {name: float(table[name]) for name in names}
    score = doubt(p, policy.road, policy.tolerance, policy.score)
    wrong = loss(p, policy.road, masked.batch.target.numpy(), policy.tolerance)
    surest = np.argsort(score, kind="stable")[: round(row["coverage"] * len(score))]
    return {**row, "static_risk_at_same_coverage": float(wrong[surest].mean())}


# -- all cells ------------------------------------------------------------------------------------


def cell(source: str, seed: int, options) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both tables of one dataset and seed, from the folder or measured now."""
    name = Path(source).stem + (f"-{options.cut}" if options.cut else "")
    where = options.models / f"{name}-{options.objective}-{seed}"
    if options.within:
        name += "-within"
    kind = "within-" if options.within else ""
    files = [where / f"{kind}{table}.csv" for table in ("sizes", "deferral")]
    wanted = [options.again or not file.exists() for file in files]
    if any(wanted):
        train, validation, test = parts(load(source), seed, options.cut)
        model = fitted(train, validation, options.objective, seed, where)
        if options.within:
            validation, test = validation.split((0.5, 0.5), seed=seed)
        masked = every_mask(test)
        for file, rows, again in zip(files, (sizes, deferral), wanted, strict=True):
            if again:
                pd.DataFrame(rows(model, validation, masked)).to_csv(file, index=False)
    tables = [pd.read_csv(file) for file in files]
    for table in tables:
        table.insert(0, "seed", seed)
        table.insert(0, "data", name)
    print(name, seed, flush=True)
    return tables[0], tables[1]


def in_band(table: pd.DataFrame) -> pd.DataFrame:
    """Share of cells inside the band; and not demonstrably outside: the interval reaches it."""
    table = table[table["metric"].isin(BANDS)]
    low, high = np.array([BANDS[metric] for metric in table["metric"]]).T
    table = table.assign(
        inside=(low <= table["value"]) & (table["value"] <= high),
        reached=(low <= table["upper"]) & (table["lower"] <= high),
    )
    return table.groupby(GROUP, sort=False).agg(
        cells=("value", "size"), median=("value", "median"), least=("value", "min"),
        most=("value", "max"), inside=("inside", "mean"), reached=("reached", "mean"),
    )  # fmt: skip


def write(file: Path, table: pd.DataFrame) -> None:
    """Put a table into its file, in the place of what it held on the same datasets."""
    if file.exists():
        before = pd.read_csv(file)
        table = pd.concat([before[~before["data"].isin(table["data"])], table])
    table.to_csv(file, index=False, float_format="%.4f")


def main() -> None:
    """Measure all cells, write both tables, print the shares."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", help="names of embedded sets, or .npz files")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--objective", default="elbo+pcc")
    parser.add_argument("--models", type=Path, required=True, help="folder of the fitted models")
    cut = parser.add_mutually_exclusive_group()
    cut.add_argument("--late", dest="cut", action="store_const", const="late", default="",
                     help="validation: the last groups")  # fmt: skip
    cut.add_argument("--exchangeable", dest="cut", action="store_const", const="exchangeable",
                     help="all rows at random")  # fmt: skip
    parser.add_argument("--within", action="store_true", help="halves of the validation part")
    parser.add_argument("--again", action="store_true", help="measure again what was measured")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    cells = [
        cell(source, seed, options) for source in options.data for seed in range(options.seeds)
    ]
    both = [pd.concat(tables, ignore_index=True) for tables in zip(*cells, strict=True)]
    for table, name in zip(both, ("sizes", "deferral"), strict=True):
        write(options.out / f"calibration_{name}.csv", table)
    print(in_band(both[0]).to_string(float_format="{:.3f}".format))
    deferred = both[1].assign(
        better=both[1]["risk"] < both[1]["static_risk_at_same_coverage"],
    )
    mean = (
        deferred.drop(columns="seed")
        .groupby(["data", "model", "score", "budget"], sort=False)
        .mean()
    )
    print(mean.to_string(float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
