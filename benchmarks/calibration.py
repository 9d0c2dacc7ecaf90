"""Variances before and after recalibration per mask pattern, and deferral at equal budgets.

    python -m benchmarks.calibration digits PATH.npz --seeds 5 --models FOLDER

For each dataset and seed a small backbone is pretrained, both phases are fitted with the defaults
of `sure_pyro.fit`, and the model is kept in FOLDER; a fitted model that is there already is used.
Everything is calibrated on the validation part and measured on the test part, every row under every
mask that it can have. Nothing is tuned to the test part.

``--within`` leaves the test part alone: one half of the validation part (whole groups) calibrates,
the other is measured, which shows what the method does where nothing shifts.
``--rolling`` keeps the model and calibrates it anew as time goes on: two groups (weeks) of the test
part at a time are measured, on what the four groups before them say, with an infinite prior: where
the world drifts, that the model was right when it was trained is no argument.
``--online N`` keeps the model and updates its calibration online: N rows of the test part at a
time, in the order of the file, are measured, and then taken in (`CalibratedSURE.update_online`).
``--exchangeable`` forgets groups and the author's test part and cuts all rows at random: held-out
rows are then like test rows, as every promise of a calibration assumes.
Results of a cell are kept beside its model; ``--again`` measures it once more.

Writes ``calibration_variances.csv`` (variance ratio and coverage of 90 % intervals or sets, by
target and mask pattern, with a 90 % bootstrap interval over groups) and
``calibration_deferral.csv`` under ``benchmarks/results/``, and prints what share of the cells lies
in the band, one by one and by their mean over the seeds.
"""

import argparse
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import sure_pyro as sp
from sure_pyro import metrics
from sure_pyro.calibration import arrays
from sure_pyro.calibration.arrays.shrinkage import PRIOR_SCALE
from sure_pyro.calibration.decision_scores import loss, uncertainty_score
from sure_pyro.data import every_mask
from sure_pyro.data.masked_rows import MaskedRows
from sure_pyro.evaluation import hidden_latents
from sure_pyro.evaluation.arrays import as_float64
from sure_pyro.metrics.bootstrap import bootstrap_counts, interval
from sure_pyro.plots import plot_ratio_over_time

RESULTS = Path(__file__).parent / "results"
BUDGETS = (0.1, 0.2, 0.3, 0.5)
BANDS = {"variance ratio": (0.9, 1.1), "error ratio": (0.9, 1.1), "coverage": (0.88, 0.92)}
MINIMUM_ROWS = 100
TABLES = ("variances", "deferral")
GROUP = ["data", "part", "metric", "when"]

Stretches = list[tuple[sp.Batch, sp.Batch]]
"""Held-out rows to calibrate on, and the rows to measure with that."""


def load(source: str) -> sp.Batch:
    """An embedded set by name, or a file in the canonical form."""
    data = sp.load_npz(source) if source.endswith(".npz") else sp.load(source)
    return sp.resolve_partial(data, "absent")


def parts(data: sp.Batch, seed: int, cut: str) -> tuple[sp.Batch, sp.Batch, sp.Batch]:
    """Training, validation and test rows."""
    if cut == "exchangeable":
        data = data.replace(group=None, test=None)
    return data.split(seed=seed)


def rolling(data: sp.Batch, validation: sp.Batch, test: sp.Batch) -> Stretches:
    """Two groups of the test part at a time, each with the four groups that came before it.

    Rows in the order of the file, which must be that of time.
    """
    if data.group is None or (data.group.diff() < 0).any():
        raise SystemExit(
            "`--rolling` needs rows in order of time, and a `group` that rises with it."
        )
    rows = data[torch.isin(data.group, torch.cat([validation.group, test.group]))]
    groups, stretches = rows.group.unique(), []
    for now in test.group.unique().split(2):
        before = groups[groups < now[0]][-4:]
        held_out, measured_now = (rows[torch.isin(rows.group, which)] for which in (before, now))
        stretches.append((held_out, measured_now))
    return stretches


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


# -- variances ------------------------------------------------------------------------------------

Cell = tuple[str, str, str, str]
"""Part, target, metric, before or after."""
Found = Iterator[tuple[Cell, np.ndarray, tuple[np.ndarray, np.ndarray]]]
"""A cell of every pattern, its masked rows, and the two arrays whose means are compared."""


def of_variances(part: str, target: str, when: str, where: np.ndarray, s2, e2) -> Found:
    """Variance ratio, and coverage of the central 90 % intervals of a Gaussian."""
    inside = (e2 <= 1.6448536**2 * s2).mean(1)
    yield (part, target, "variance ratio", when), where, (s2.mean(1), e2.mean(1))
    yield (part, target, "coverage", when), where, (inside, np.ones(len(inside)))


def of_reconstructions(model: sp.SURE, p: sp.Prediction, masked: MaskedRows, when: str) -> Found:
    for target, h in hidden_latents(model, masked, p.reconstruction).items():
        yield from of_variances("reconstruction", target, when, h.where, *h.pair())


def of_outputs(p: sp.Prediction, masked: MaskedRows, when: str) -> Found:
    y, where = masked.batch.target.numpy(), np.arange(len(masked.batch))
    if p.task == "regression":
        mean, s2 = as_float64(p.mean), as_float64(p.total)
        y = y.reshape(s2.shape)
        yield from of_variances("output", "y", when, where, s2, np.square(y - mean))
        nll = metrics.gaussian_nll(mean, s2, y)
        yield ("output", "y", "nll", when), where, (nll, np.ones(len(nll)))
        return
    probability = as_float64(p.probabilities["taylor"])
    nll = metrics.categorical_nll(probability, y)
    yield ("output", "y", "nll", when), where, (nll, np.ones(len(nll)))
    predicted, wrong = 1 - probability.max(1), metrics.zero_one_loss(probability, y)
    yield ("output", "y", "error ratio", when), where, (predicted, wrong)
    yield ("output", "y", "ece", when), where, (probability, y)


def of_conformal(
    part: str,
    intervals: sp.Conformal,
    latents: sp.calibration.ConformalLatents,
    model: sp.SURE,
    p: sp.Prediction,
    masked: MaskedRows,
) -> Found:
    """Whether intervals hold the target or sets the class, and intervals the hidden latents."""
    yield from of_answers(f"{part}, output", intervals.predict(p), masked)
    of_latents = latents.predict(p)
    for target, h in hidden_latents(model, masked, p.reconstruction).items():
        bounds = (of_latents[target].lower, of_latents[target].upper)
        lower, upper = (b.reshape(len(b), -1)[h.where] for b in bounds)
        inside = (lower <= h.truth) & (h.truth <= upper)
        known = np.ones_like(inside) if h.known is None else h.known
        share = (inside & known).sum(1) / known.sum(1)
        cell = (f"{part}, latents", target, "coverage", "after")
        yield cell, h.where, (share, np.ones(len(share)))


def of_answers(part: str, found: arrays.Intervals | arrays.Sets, masked: MaskedRows) -> Found:
    """Whether intervals hold the target, or sets the class."""
    y = masked.batch.target.numpy()
    if isinstance(found, arrays.Sets):
        hit = found.contains[np.arange(len(y)), y]
    else:
        y = y.reshape(found.lower.shape)
        hit = ((found.lower <= y) & (y <= found.upper)).all(1)
    where = np.arange(len(hit))
    yield (part, "y", "coverage", "after"), where, (1.0 * hit, np.ones(len(hit)))


def observed(model: sp.SURE, calibrated: sp.CalibratedSURE, masked: MaskedRows) -> Found:
    """Every variance and error rate before and after."""
    for when, m in (("before", model), ("after", calibrated)):
        p = m.predict(masked.batch)
        yield from of_reconstructions(m, p, masked, when)
        yield from of_outputs(p, masked, when)


def recalibrated(model: sp.SURE, held_out: sp.Batch, drift: bool) -> sp.CalibratedSURE:
    """Where the world drifts, that the model was right once is no argument: no prior for it."""
    return sp.recalibrate(model, held_out, prior_scale=np.inf if drift else PRIOR_SCALE)


def variances(model: sp.SURE, stretches: Stretches, drift: bool) -> Iterator[dict]:
    """Every cell of every pattern over all stretches of test rows."""
    found = Cells()
    for held_out, test in stretches:
        masked, calibrated = every_mask(test), recalibrated(model, held_out, drift)
        p = calibrated.predict(masked.batch)
        found.add(masked, observed(model, calibrated, masked))
        for new_groups in {False, held_out.group is not None and not drift}:
            part = "conformal by groups" if new_groups else "conformal by rows"
            fits = conformal_fits(calibrated, held_out, new_groups)
            found.add(masked, of_conformal(part, *fits, calibrated, p, masked))
    return found.measured()


def updated_online(
    model: sp.SURE, held_out: sp.Batch, test: sp.Batch, N: int, picture: Path | None
) -> Iterator[dict]:
    """Every cell where outcomes become known N rows at a time, and update the calibration."""
    found, calibrated = Cells(), sp.recalibrate(model, held_out)
    intervals, latents = conformal_fits(calibrated, held_out, new_groups=False)
    with warnings.catch_warnings():
        # A pattern that is in none of the old rows has no quantile of its own yet, and soon will.
        warnings.filterwarnings("ignore", message=".*fewer than 9 calibration rows")
        for day in torch.arange(len(test)).split(N):
            now = test[day]
            masked = every_mask(now)
            p = calibrated.predict(masked.batch)
            found.add(masked, observed(model, calibrated, masked))
            found.add(masked, of_conformal("conformal", intervals, latents, calibrated, p, masked))
            step = min(0.05, 1 / N)  # the default is for at most 20 rows together
            intervals = intervals.update_online(calibrated, now, step)
            latents = latents.update_online(calibrated, now, step)
            calibrated = calibrated.update_online(now)
    if picture:
        draw(found, picture)
    return found.measured()


def draw(found: "Cells", picture: Path) -> None:
    """Predicted over actual variance of a regression's output over time, under its worst mask."""
    names = {"before": "as fitted", "after": "updated online"}
    pairs = {name: found.arrays(("output", "y", "variance ratio", k)) for k, name in names.items()}
    s2, e2, pattern, *_ = pairs["as fitted"]
    worst = min(np.unique(pattern), key=lambda p: s2[pattern == p].mean() / e2[pattern == p].mean())
    series = {
        name: (a[pattern == worst], b[pattern == worst]) for name, (a, b, *_) in pairs.items()
    }
    fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
    plot_ratio_over_time(series, ax)
    ax.set_title(f"visible: {worst}", fontsize="medium")
    fig.savefig(picture, dpi=150)


def conformal_fits(model: sp.SURE, held_out: sp.Batch, new_groups: bool):
    """Intervals or sets for outputs, and intervals for latents."""
    kinds = (sp.conformal, sp.conformal_latents)
    return [kind(model, held_out, new_groups=new_groups) for kind in kinds]


class Cells:
    """What was found, cell by cell, over stretches of test rows."""

    def __init__(self) -> None:
        self.pieces, self.rows = defaultdict(list), 0

    def add(self, masked: MaskedRows, found: Found) -> None:
        """Put the finds of a stretch to those before."""
        group, row = masked.complete.group, self.rows + masked.row
        unit = row if group is None else group.numpy()[masked.row]
        for cell, where, pair in found:
            self.pieces[cell].append((*pair, masked.pattern[where], unit[where], row[where]))
        self.rows += len(masked.complete)

    def arrays(self, cell: Cell) -> list[np.ndarray]:
        """The two arrays of a cell, and pattern, unit and number of each row."""
        return [np.concatenate(x) for x in zip(*self.pieces[cell], strict=True)]

    def measured(self) -> Iterator[dict]:
        """Every cell, by pattern; a single group can not be drawn from, so its rows are."""
        for cell in self.pieces:
            a, b, pattern, unit, row = self.arrays(cell)
            yield from measured(cell, a, b, pattern, unit if len(np.unique(unit)) > 1 else row)


def measured(cell: Cell, a, b, pattern: np.ndarray, group: np.ndarray) -> Iterator[dict]:
    """Compare two arrays within every pattern that has enough rows; intervals draw groups whole."""
    line = dict(zip(("part", "target", "metric", "when"), cell, strict=True))
    for name in np.unique(pattern):
        k = pattern == name
        if k.sum() < MINIMUM_ROWS:
            continue
        row = {**line, "pattern": name, "rows": int(k.sum())}
        if line["metric"] == "ece":
            yield {**row, "value": float(metrics.ece(a[k], b[k]))}
            continue
        counts = bootstrap_counts(row["rows"], group[k], 300, seed=0)
        # A resample without a single error counts as a tenth of one: the ratio stays finite.
        resampled = (counts @ a[k]) / np.maximum(counts @ b[k], 0.1)
        found = interval(a[k].mean() / b[k].mean(), resampled, 0.9)
        yield {**row, "value": found.estimate, "lower": found.lower, "upper": found.upper}


# -- deferral -------------------------------------------------------------------------------------


def deferral(model: sp.SURE, stretches: Stretches, drift: bool) -> Iterator[dict]:
    """Error among the accepted rows at each budget: thresholds per pattern, and one for all.

    The thresholds come from held-out rows, so the share of test rows that is deferred differs
    from the budget, by chance and by shift. So the one threshold is also cut at that very share.
    A calibrated score means the same under every mask, so there one threshold is per-mask already:
    that is why the model as it was fitted is decided on, too.
    """
    for held_out, test in stretches:
        masked = every_mask(test)
        models = {"as fitted": model, "calibrated": recalibrated(model, held_out, drift)}
        for kind, m in models.items():
            yield from by_budget(kind, m, held_out, masked)


def by_budget(kind: str, model: sp.SURE, held_out: sp.Batch, masked: MaskedRows) -> Iterator[dict]:
    """Both scores at every budget; for regression they are one."""
    p, options, scores = model.predict(masked.batch), {}, ("error", "sd")
    if p.task == "regression":  # wrong: off by more than half a standard deviation of the target
        options["tolerance"] = float(0.5 * held_out.target.std())
        scores = ("error",)
    for score in scores:
        for budget in BUDGETS:
            policy = sp.DeferralPolicy.fit(model, held_out, budget=budget, score=score, **options)
            found = decided(policy, p, masked)
            yield {"model": kind, "score": score, "budget": budget, **found}


def decided(policy: sp.DeferralPolicy, p: sp.Prediction, masked: MaskedRows) -> dict[str, float]:
    """Coverage and risk of both kinds of threshold, and of one threshold at the same coverage."""
    table = policy.compare(p, masked.batch).iloc[0]
    names = ("coverage", "risk", "static_coverage", "static_risk")
    row = {name: float(table[name]) for name in names}
    score = uncertainty_score(p, policy.method, policy.tolerance, policy.score)
    wrong = loss(p, policy.method, masked.batch.target.numpy(), policy.tolerance)
    surest = np.argsort(score, kind="stable")[: round(row["coverage"] * len(score))]
    return {**row, "static_risk_at_same_coverage": float(wrong[surest].mean())}


# -- all cells ------------------------------------------------------------------------------------


def cell(source: str, seed: int, options) -> dict[str, pd.DataFrame]:
    """All tables of one dataset and seed, from the folder or measured now."""
    name = Path(source).stem + (f"-{options.cut}" if options.cut else "")
    where = options.models / f"{name}-{options.objective}-{seed}"
    if options.how:
        name += f"-{options.how}"
    files = {table: where / f"{options.how}{table}.csv" for table in TABLES}
    if options.how == "online":
        del files["deferral"]
    wanted = [table for table, file in files.items() if options.again or not file.exists()]
    if wanted:
        data = load(source)
        train, validation, test = parts(data, seed, options.cut)
        model = fitted(train, validation, options.objective, seed, where)
        rows = measures(options, model, data, validation, test, seed)
        for table in wanted:
            pd.DataFrame(rows[table]).to_csv(files[table], index=False)
    tables = {table: pd.read_csv(file) for table, file in files.items()}
    for table in tables.values():
        table.insert(0, "seed", seed)
        table.insert(0, "data", name)
    print(name, seed, flush=True)
    return tables


def measures(options, model, data, validation, test, seed) -> dict[str, Iterator[dict]]:
    """What each table is made from, lazily."""
    if options.how == "online":
        return {
            "variances": updated_online(model, validation, test, options.online, options.picture)
        }
    if options.how == "within":
        validation, test = validation.split((0.5, 0.5), seed=seed)
    drift = options.how == "rolling"
    stretches = rolling(data, validation, test) if drift else [(validation, test)]
    return {
        "variances": variances(model, stretches, drift),
        "deferral": deferral(model, stretches, drift),
    }


def bands(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of the band of each line."""
    low, high = np.array([BANDS[metric] for metric in table["metric"]]).T
    return low, high


def in_band(table: pd.DataFrame) -> pd.DataFrame:
    """Share of cells inside the band; and not demonstrably outside: the interval reaches it."""
    table = table[table["metric"].isin(BANDS)]
    low, high = bands(table)
    table = table.assign(
        inside=(low <= table["value"]) & (table["value"] <= high),
        reached=(low <= table["upper"]) & (table["lower"] <= high),
    )
    columns = {"median": ("value", "median"), "least": ("value", "min"), "most": ("value", "max")}
    shares = {"inside": ("inside", "mean"), "reached": ("reached", "mean")}
    return table.groupby(GROUP, sort=False).agg(cells=("value", "size"), **columns, **shares)


def by_pattern(table: pd.DataFrame) -> pd.DataFrame:
    """Mean of each target and pattern over the seeds: share inside the band, range, and spread.

    A single cell of 100 rows scatters by more than its band is wide; what a method does to a
    pattern shows over seeds.
    """
    table = table[table["metric"].isin(BANDS)]
    over_seeds = table.groupby([*GROUP, "target", "pattern"], sort=False)["value"]
    mean = over_seeds.agg(["mean", "std"]).reset_index()
    low, high = bands(mean)
    mean["inside"] = (low <= mean["mean"]) & (mean["mean"] <= high)
    columns = {"inside": ("inside", "mean"), "least": ("mean", "min"), "most": ("mean", "max")}
    columns |= {"spread": ("std", "mean")}
    return mean.groupby(GROUP, sort=False).agg(patterns=("mean", "size"), **columns)


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
    word = {"action": "store_const", "default": ""}
    at_random = "all rows at random"
    parser.add_argument("--exchangeable", dest="cut", const="exchangeable", help=at_random, **word)
    how = parser.add_mutually_exclusive_group()
    halves, before = "halves of the validation part", "calibrate on the groups just before"
    how.add_argument("--within", dest="how", const="within", help=halves, **word)
    how.add_argument("--rolling", dest="how", const="rolling", help=before, **word)
    how.add_argument("--online", type=int, metavar="N", help="update with N rows at a time")
    parser.add_argument("--picture", type=Path, help="draw an updated regression over time here")
    parser.add_argument("--again", action="store_true", help="measure again what was measured")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.how = "online" if options.online else options.how
    cells = [
        cell(source, seed, options) for source in options.data for seed in range(options.seeds)
    ]
    tables = {
        name: pd.concat([c[name] for c in cells], ignore_index=True)
        for name in TABLES
        if name in cells[0]
    }
    for name, table in tables.items():
        write(options.out / f"calibration_{name}.csv", table)
    for summary in (in_band, by_pattern):
        print(summary(tables["variances"]).to_string(float_format="{:.3f}".format))
    if "deferral" in tables:
        print(deferred(tables["deferral"]).to_string(float_format="{:.3f}".format))


def deferred(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over seeds, and in how many cells thresholds per pattern had less risk."""
    better = table["risk"] < table["static_risk_at_same_coverage"]
    by = table.assign(better=better).drop(columns="seed")
    return by.groupby(["data", "model", "score", "budget"], sort=False).mean()


if __name__ == "__main__":
    main()
