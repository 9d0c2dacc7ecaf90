"""Results of a comparison: one tidy table, and the numbers that can be read from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from sure_pyro.comparison.paired import LEVEL, paired_difference, ranks
from sure_pyro.evaluation.slices import OVERALL
from sure_pyro.metrics import METRICS, metric
from sure_pyro.metrics.registry import COSTS

COLUMNS = ["data", "model", "seed", "kind", "slice", "rows", "metric", "value"]


ResultsType = TypeVar("ResultsType", bound="Results")


@dataclass(frozen=True)
class Failure:
    """A cell without a result, and why."""

    data: str
    model: str
    seed: int
    reason: str
    details: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Results:
    """Models side by side.

    Attributes
    ----------
    table : DataFrame
        Tidy: ``data, model, seed, kind, slice, rows, metric, value``. `kind` is ``"overall"``,
        ``"hidden"`` (the slice is how many modalities are hidden), ``"pattern"`` (which are
        visible) or ``"mask"``. What a metric means is in `sure_pyro.metrics.METRICS`.
    history : DataFrame
        Epochs of the point estimates, with data, model and seed.
    tasks : dict of str to str
        Task of each dataset.
    models : tuple of str
    reference : str
        Model that differences are taken from.
    failures : tuple of Failure
    interrupted : bool
        Stopped by hand: cells are lacking.
    """

    table: pd.DataFrame
    history: pd.DataFrame
    tasks: Mapping[str, str]
    models: tuple[str, ...]
    reference: str
    failures: tuple[Failure, ...] = ()
    interrupted: bool = False

    @classmethod
    def of(
        cls: type[ResultsType],
        cells: Mapping[tuple[str, str, int], dict[str, Any]],
        tasks: Mapping[str, str],
        models: Sequence[str],
        reference: str,
        failures: tuple[Failure, ...] = (),
        interrupted: bool = False,
    ) -> ResultsType:
        """Assemble finished cells, by (data, model, seed)."""
        lines, epochs = [], []
        for (data, model, seed), record in cells.items():
            head = {"data": data, "model": model, "seed": seed}
            lines += [head | line for line in record["lines"]]
            rows = next(x["rows"] for x in record["lines"] if x["kind"] == OVERALL)
            where = {"kind": OVERALL, "slice": OVERALL, "rows": rows}
            lines += [head | where | {"metric": m, "value": record["costs"][m]} for m in COSTS]
            epochs += [head | epoch for epoch in record["history"]]
        return cls(
            pd.DataFrame(lines, columns=COLUMNS),
            pd.DataFrame(epochs),
            dict(tasks),
            tuple(models),
            reference,
            failures,
            interrupted,
        )

    # -- parts of the table ---------------------------------------------------------------------

    def values(
        self, name: str, data: str | None = None, kind: str = OVERALL, part: str = OVERALL
    ) -> pd.DataFrame:
        """One metric on one slice: a row per seed, a column per model.

        Parameters
        ----------
        name : str
            Of a metric.
        data : str, optional
            Needed where there are several datasets.
        kind, part : str
            Kind and name of the slice, such as ``("hidden", "2")``.

        Raises
        ------
        ValueError
            If the metric, the dataset or the slice is unknown.
        """
        metric(name)
        t = self.table[self.table["data"] == self.only(data)]
        t = t[(t["kind"] == kind) & (t["slice"] == part)]
        if len(t) == 0 and len(self.table):
            known = sorted(set(map(tuple, self.table[["kind", "slice"]].to_numpy().tolist())))
            raise ValueError(f"There is no slice {(kind, part)}; there are {known}.")
        wide = t[t["metric"] == name].pivot(index="seed", columns="model", values="value")
        return wide.reindex(columns=[m for m in self.models if m in wide])

    def metrics(self, data: str | None = None) -> list[str]:
        """Names of the metrics that were measured on a dataset, in order."""
        found = set(self.table[self.table["data"] == self.only(data)]["metric"])
        return [name for name in METRICS if name in found]

    def slices(self, data: str | None = None) -> list[tuple[str, str]]:
        """Kind and name of every slice of a dataset, for `values`."""
        t = self.table[self.table["data"] == self.only(data)]
        return list(dict.fromkeys(zip(t["kind"], t["slice"], strict=True)))

    def only(self, data: str | None = None) -> str:
        """Check the name of a dataset; it may be left out where there is one only."""
        if data is None and len(self.tasks) == 1:
            return next(iter(self.tasks))
        if data is None or data not in self.tasks:
            raise ValueError(f"`data` must be one of {list(self.tasks)}; got {data!r}.")
        return data

    # -- what can be read from it ---------------------------------------------------------------

    def summary(self, data: str | None = None) -> pd.DataFrame:
        """Mean and standard deviation over seeds of every metric, over all masks.

        Returns
        -------
        DataFrame
            Index model; columns (metric, ``"mean"`` or ``"sd"``).
        """
        found = {}
        for name in self.metrics(data):
            values = self.values(name, data)
            found[name, "mean"], found[name, "sd"] = values.mean(), values.std()
        frame = pd.DataFrame(found)
        return frame.reindex([m for m in self.models if m in frame.index])

    def ranks(
        self,
        name: str,
        data: str | None = None,
        kind: str = OVERALL,
        part: str = OVERALL,
        level: float = LEVEL,
    ) -> pd.DataFrame:
        """Rank the models by a metric: see `sure_pyro.comparison.paired.ranks`.

        Raises
        ------
        ValueError
            If the metric alone does not say which values are good.
        """
        if metric(name).better is None:
            raise ValueError(f"{name!r} alone does not say which model is better.")
        return ranks(self.values(name, data, kind, part), METRICS[name], level)

    def differences(self, reference: str | None = None, level: float = LEVEL) -> pd.DataFrame:
        """Every metric and slice minus that of a reference model, paired by seed.

        Parameters
        ----------
        reference : str, optional
            By default that of the comparison.
        level : float
            Of the Student interval over seeds.

        Returns
        -------
        DataFrame
            Columns ``data, kind, slice, metric, model, difference, lower, upper, seeds, verdict``;
            the verdict is ``"better"``, ``"worse"`` or ``"within noise"``, or ``"different"`` where
            the metric does not say which values are good.
        """
        reference = reference or self.reference
        if reference not in self.models:
            raise ValueError(f"`reference` must be one of {self.models}; got {reference!r}.")
        keys, lines = ["data", "kind", "slice", "metric"], []
        for where, part in self.table.groupby(keys, sort=False):
            wide = part.pivot(index="seed", columns="model", values="value")
            if reference not in wide:
                continue
            for model in (m for m in self.models if m in wide and m != reference):
                line = _difference(wide, model, reference, str(where[3]), level)
                lines.append(dict(zip(keys, where, strict=True)) | {"model": model} | line)
        columns = [*keys, "model", "difference", "lower", "upper", "seeds", "verdict"]
        return pd.DataFrame(lines, columns=columns)

    def to_dataframe(self) -> pd.DataFrame:
        """The tidy table."""
        return self.table.copy()

    def to_dataset(self) -> xr.Dataset:
        """Labelled arrays: one variable per metric, dimensions data, model, seed and slice.

        Slices are named ``"overall"``, ``"hidden 2"``, ``"pattern image+text"``; what was not
        measured is NaN.
        """
        t = self.table.assign(slice=_slice_names(self.table))
        index = ["data", "model", "seed", "slice"]
        wide = t.pivot(index=index, columns="metric", values="value")
        found = xr.Dataset.from_dataframe(wide[[m for m in METRICS if m in wide]])
        order = {name: list(dict.fromkeys(t[name])) for name in index}
        found = found.reindex(order)
        for name in found.data_vars:
            m = METRICS[str(name)]
            found[name].attrs |= {"long_name": m.label, "units": m.unit}
        found = found.assign_coords(task=("data", [self.tasks[data] for data in order["data"]]))
        return found.assign_attrs(reference=self.reference)

    def failed(self) -> pd.DataFrame:
        """The cells that failed: data, model, seed, reason, details."""
        columns = ["data", "model", "seed", "reason", "details"]
        return pd.DataFrame([f.__dict__ for f in self.failures], columns=columns)


def _difference(
    wide: pd.DataFrame, model: str, reference: str, name: str, level: float
) -> dict[str, Any]:
    a, b = wide[model].to_numpy(), wide[reference].to_numpy()
    d, m = paired_difference(a, b, level), METRICS[name]
    bad = paired_difference(m.badness(a), m.badness(b), level) if m.better else d
    certain = bad.lower > 0 or bad.upper < 0
    verdict = "within noise"
    if certain:
        verdict = "different" if m.better is None else "worse" if bad.lower > 0 else "better"
    seeds = int((np.isfinite(a) & np.isfinite(b)).sum())
    return {
        "difference": d.estimate,
        "lower": d.lower,
        "upper": d.upper,
        "seeds": seeds,
        "verdict": verdict,
    }


def _slice_names(table: pd.DataFrame) -> list[str]:
    pairs = zip(table["kind"], table["slice"], strict=True)
    return [kind if kind == OVERALL else f"{kind} {part}" for kind, part in pairs]
