"""The tables of a report: numbers as people read them, one line per size of the mask."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from sure_pyro.evaluation.slices import RANDOM
from sure_pyro.metrics.bootstrap import Interval
from sure_pyro.metrics.reconstructed import Reconstructability
from sure_pyro.metrics.registry import METRICS, R2
from sure_pyro.report.evidence import METHOD_NAMES, Slice, Task
from sure_pyro.report.reading import reading

HIDDEN = "hidden"


def task_table(slices: Mapping[str, Slice]) -> pd.DataFrame:
    """Score of the full data and of every filling, and what is won back."""
    lines = {}
    for name, s in slices.items():
        t, digits = s.task, 3 if s.task.score == R2 else 1
        lines[label(name)] = {
            "rows": str(s.rows),
            "all recorded": _score(t.full, t.score),
            "zeros": _score(t.zero, t.score),
            "means": _score(t.mean, t.score),
            "reconstruction, old head": _score(t.swapped, t.score),
            "SURE": _score(t.sure, t.score),
            "won back": "-" if t.won_back is None else f"{t.won_back:.0%}",
            "SURE - zeros": _gain(t.gain_zero, t.score, digits),
            "SURE - means": _gain(t.gain_mean, t.score, digits),
        }
    return _frame(lines)


def second_table(slices: Mapping[str, Slice]) -> pd.DataFrame:
    """The second score (F1, RMSE) of the same answers."""
    names = {
        "full": "all recorded",
        "zero": "zeros",
        "mean": "means",
        "swapped": "reconstruction, old head",
        "sure": "SURE",
    }
    return _frame(
        {
            label(name): {title: f"{s.task.second[key]:.3f}" for key, title in names.items()}
            for name, s in slices.items()
        }
    )


def uncertainty_table(slices: Mapping[str, Slice]) -> pd.DataFrame:
    """Error and uncertainty of the reconstruction."""
    lines = {}
    for name, s in slices.items():
        if (u := s.uncertainty) is None:
            continue
        lines[label(name)] = {
            label_of("reconstruction_error"): f"{u.observed:.3f}",
            "predicted variance": f"{u.predicted:.3f}",
            label_of("variance_ratio"): f"{u.ratio:.2f}",
            label_of("correlation_within"): f"{u.within:.2f}",
            label_of("correlation_attainable"): f"{u.attainable:.2f}",
            "with independent errors": f"{u.attainable_independent:.2f}",
            label_of("correlation_pooled"): f"{u.pooled:.2f}",
            "pairs": str(u.rows),
            "cells": str(u.cells),
            "left out": str(u.dropped),
        }
    return _frame(lines)


def propagation_table(slices: Mapping[str, Slice]) -> pd.DataFrame:
    """Likelihood and ranking of the prediction by method, and the cross-check."""
    lines, nll, aurc = {}, label_of("nll"), label_of("aurc")
    for name, s in slices.items():
        p = s.propagation
        verdicts = ", ".join(f"{n} {word}" for word, n in p.verdicts.items())
        lines[label(name)] = {
            **{f"{nll} {word}": f"{p.nll[m]:.3f}" for m, word in METHOD_NAMES.items()},
            "Taylor - point": _signed(p.taylor, 3),
            "sampling - point": _signed(p.sampling, 3),
            **{f"{aurc} {word}": f"{p.aurc[m]:.3g}" for m, word in METHOD_NAMES.items()},
            "Taylor / sampling": f"{p.ratio:.2f}",
            "cross-check": verdicts,
        }
    return _frame(lines)


def target_table(
    targets: Mapping[str, Reconstructability], best_case: Mapping[str, float]
) -> pd.DataFrame:
    """Reconstructability of every modality."""
    lines = {}
    for name, r in targets.items():
        lines[name] = {
            "reconstructed": reading(r),
            "R²": _interval(r.r2),
            "between classes": "-" if r.between is None else _interval(r.between),
            "within a class": "-" if r.within is None else _interval(r.within),
            "R², all others visible": f"{best_case[name]:.2f}" if name in best_case else "-",
            "rows": str(r.rows),
        }
    return _frame(lines, "modality")


def objective_table(compared: pd.DataFrame) -> pd.DataFrame:
    """The objectives side by side, over random masks."""
    shown = compared.drop(columns="seconds").map(lambda x: f"{x:.3f}")
    return shown.assign(seconds=[f"{x:.0f}" for x in compared["seconds"]])


def words(t: Task) -> dict[str, str]:
    """What the registry says of the metrics in the tables, for the text beside them."""
    nll, aurc = METRICS["nll"], METRICS["aurc"]
    second = next(m for m in METRICS.values() if m.label == t.second_score)
    return {
        "score": t.score[0].upper() + t.score[1:],
        "unit": "in units of R²" if t.score == R2 else "in points (hundredths)",
        "second": second.title,
        "direction": str(second.better),
        "nll": f"{nll.label}, {nll.unit} per row",
        "aurc": f"{aurc.label}, {aurc.unit}",
        "aurc_better": str(aurc.better),
    }


def label_of(metric: str) -> str:
    """What the registry calls a metric."""
    return METRICS[metric].label


def label(name: str) -> str:
    """Name of a slice as it is shown."""
    return "random masks" if name == RANDOM else name


def _frame(lines: Mapping[str, Mapping[str, str]], index: str = HIDDEN) -> pd.DataFrame:
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis(index)


def _score(value: float, score: str) -> str:
    return f"{value:.3f}" if score == R2 else f"{value:.1%}"


def _gain(x: Interval, score: str, digits: int) -> str:
    factor = 1 if score == R2 else 100
    scaled = Interval(factor * x.estimate, factor * x.lower, factor * x.upper, x.level)
    return _signed(scaled, digits)


def _signed(x: Interval, digits: int) -> str:
    return f"{x.estimate:+.{digits}f} [{x.lower:+.{digits}f}, {x.upper:+.{digits}f}]"


def _interval(x: Interval) -> str:
    return f"{x.estimate:.2f} [{x.lower:.2f}, {x.upper:.2f}]".replace("-0.00", "0.00")
