"""The thresholds, on numbers made by hand."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sure_pyro.diagnostics.signatures.collapse import collapse
from sure_pyro.diagnostics.signatures.domination import domination
from sure_pyro.diagnostics.signatures.nothing_shared import nothing_shared
from sure_pyro.diagnostics.signatures.oscillation import oscillation
from sure_pyro.diagnostics.signatures.symptoms import Symptoms
from sure_pyro.training import History


class Given(Symptoms):
    """Symptoms with the numbers that a rule looks at."""

    def __init__(self, predicted=1.0, actual=1.0, sources=None, rho=(), known=True):
        available = torch.tensor([[False, True], [True, True]])
        variance = {k: torch.tensor([[v], [0.0]]) for k, v in (sources or {}).items()}
        prediction = SimpleNamespace(modalities=("a", "b"), available=available, variance=variance)
        records = [
            {"phase": "reconstruction", "epoch": i, "validation/rho/z_a": r}
            for i, r in enumerate(rho)
        ]
        self.__dict__.update(
            moments=(predicted, actual),
            prediction=prediction,
            actual={n: np.array([actual if known else np.nan, np.nan]) for n in ("a", "b")},
            history=History(records),
        )

    def variance(self, name):
        return self.moments[0]

    def error(self, name):
        return self.moments[1]


@pytest.mark.parametrize(
    ("predicted", "actual", "found"),
    [(0.04, 0.5, True), (0.06, 0.5, False), (0.001, 0.05, False), (float("nan"), 0.5, False)],
)
def test_collapse_needs_a_large_error_beside_a_small_variance(predicted, actual, found):
    assert bool(collapse(Given(predicted, actual))) is found


@pytest.mark.parametrize(
    ("inputs", "predicted", "known", "found"),
    [
        (9.5, 2.0, True, True),
        (8.5, 2.0, True, False),
        (9.5, 1.0, True, False),
        (9.5, 1.0, False, True),
    ],
)
def test_domination_is_no_failure_where_the_variance_is_right(inputs, predicted, known, found):
    given = Given(predicted, 1.0, {"a": inputs, "head": 10 - inputs}, known=known)
    assert bool(domination(given)) is found


@pytest.mark.parametrize(
    ("rho", "found"),
    [
        ([0.3, 0.4] * 10, True),
        (np.linspace(0, 0.95, 20), False),  # it climbs
        ([0.3, 0.31] * 10, False),  # it hardly moves
        ([0.3, 0.4] * 5, False),  # too few epochs
        ((), False),
    ],
)
def test_oscillation_is_large_and_turns_back(rho, found):
    assert bool(oscillation(Given(rho=rho))) is found


def test_nothing_shared_says_of_how_much():
    (finding,) = nothing_shared(Given(actual=0.99))
    assert finding.where == "all modalities"
    assert "worthless" in finding.advice
    assert nothing_shared(Given(actual=0.9)) == []
