"""Every number of a report in tidy form: one line per quantity and size of the mask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import pandas as pd

from sure_pyro.metrics.bootstrap import Interval
from sure_pyro.metrics.reconstructed import Reconstructability
from sure_pyro.report.evidence import Slice
from sure_pyro.report.reading import reading


def metrics_frame(slices: Mapping[str, Slice]) -> pd.DataFrame:
    """All slices: columns hidden, rows, part, quantity, value, lower, upper.

    `lower` and `upper` are the ends of a 90 % interval where there is one. `hidden` is the number
    of modalities hidden, or ``"random"`` for all masks that hide something.
    """
    return pd.DataFrame([line for s in slices.values() for line in _slice_lines(s)])


def reconstructability_frame(
    targets: Mapping[str, Reconstructability], best_case: Mapping[str, float]
) -> pd.DataFrame:
    """One line per target and part of R^2, with the verdict and the R^2 of the best case."""
    frames = [
        r.to_dataframe().assign(
            modality=name, verdict=reading(r), rows=r.rows, all_others_visible=best_case.get(name)
        )
        for name, r in targets.items()
    ]
    columns = ["modality", "part", "r2", "lower", "upper", "verdict", "rows", "all_others_visible"]
    return pd.concat(frames)[columns] if frames else pd.DataFrame(columns=columns)


def _slice_lines(s: Slice) -> Iterator[dict[str, Any]]:
    for part in ("task", "uncertainty", "propagation"):
        measured = getattr(s, part)
        for quantity, value in _quantities(measured):
            line = {"hidden": s.name, "rows": s.rows, "part": part, "quantity": quantity}
            if isinstance(value, Interval):
                ends = {"value": value.estimate, "lower": value.lower, "upper": value.upper}
            else:
                ends = {"value": float(value), "lower": float("nan"), "upper": float("nan")}
            yield line | ends


def _quantities(measured: Any) -> Iterator[tuple[str, Any]]:
    """Fields of a result, mappings written out as ``field/key``; words are left out."""
    for field in fields(measured) if measured is not None else ():
        value = getattr(measured, field.name)
        if isinstance(value, Mapping):
            yield from ((f"{field.name}/{key}", number) for key, number in value.items())
        elif not isinstance(value, str):
            yield field.name, value
    for derived in ("won_back", "ratio"):
        value = getattr(type(measured), derived, None)
        if isinstance(value, property) and getattr(measured, derived) is not None:
            yield derived, getattr(measured, derived)
