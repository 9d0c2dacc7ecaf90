"""Evidence built by hand, a small fitted model, and a whole small study."""

import pytest
import torch

from sure_pyro import data
from sure_pyro.metrics.bootstrap import Interval
from sure_pyro.metrics.reconstructed import Reconstructability
from sure_pyro.report.evidence import Compared, Evidence, Propagation, Slice, Task, Uncertainty
from sure_pyro.report.study import Settings, evaluate, fit_models, load_parts
from tests.evaluation import conftest as compared

# The same small model and rows as in the tests of the room below.
parts, model, masked = compared.parts, compared.model, compared.masked


def about(x, half=0.01):
    """An interval around x."""
    return Interval(float(x), float(x - half), float(x + half), 0.9)


def target(r2, between=None, within=None, verdict="part", half=0.01):
    parts = [None if x is None else about(x, half) for x in (between, within)]
    return Reconstructability(about(r2, half), *parts, 100, verdict)


def task(**changes):
    values = {
        "score": "accuracy",
        "second_score": "F1",
        "second": {"full": 0.9, "sure": 0.8},
        "full": 0.9,
        "zero": 0.6,
        "mean": 0.65,
        "swapped": 0.75,
        "sure": 0.8,
        "loss": about(0.3),
        "gain_zero": about(0.2),
        "gain_mean": about(0.15),
        "gain_swapped": about(0.1),
    }
    return Task(**values | changes)


def uncertainty(**changes):
    values = {
        "within": 0.4,
        "pooled": 0.5,
        "attainable": 0.45,
        "attainable_independent": 0.8,
        "rows": 500,
        "cells": 10,
        "dropped": 0,
        "predicted": 0.5,
        "observed": 0.5,
    }
    return Uncertainty(**values | changes)


def propagation(**changes):
    methods = {"none": 0.6, "taylor": 0.5, "sampling": 0.5}
    values = {
        "nll": methods,
        "aurc": methods,
        "taylor": about(-0.1),
        "sampling": about(-0.1),
        "between": about(0.0),
        "verdicts": {"agree": 3},
        "ratio": 1.0,
        "shares": {"text": 0.2, "audio": 0.1, "head": 0.7},
    }
    return Propagation(**values | changes)


def evidence(*, targets=None, rows=400, **changes):
    parts = {
        "task": changes.pop("task", task()),
        "uncertainty": changes.pop("uncertainty", uncertainty()),
        "propagation": changes.pop("propagation", propagation()),
    }
    if targets is None:
        targets = {"text": target(0.5), "audio": target(0.3)}
    best = {name: r.r2.estimate + 0.1 for name, r in targets.items()}
    values = {
        "random": Slice("random", rows, **parts),
        "targets": targets,
        "best_case": best,
        "objectives": {"elbo+pcc": Compared(parts["uncertainty"], 0.8, 0.5, about(0), about(0))},
        "ratio_validation": 1.0,
        "test_rows": rows,
        "test_groups": None,
        "new_groups": False,
    }
    return Evidence(**values | changes)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """A whole small study: a file, two epochs, two objectives."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("data") / "small.npz"
    batch, _ = data.synthetic(120, task="classification", share=0.8, seed=1)
    data.save_npz(path, data.missing.mcar(batch, 0.05, seed=0))
    settings = Settings(path, epochs=2, objectives=("elbo", "elbo+pcc"), num_samples=20, quiet=True)
    parts = load_parts(settings)
    return evaluate(parts, fit_models(parts, settings), settings)
