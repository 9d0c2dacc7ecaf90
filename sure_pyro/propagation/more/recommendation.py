"""Which method to use: every one tried on a few rows, its cost for the batch worked out.

What a method costs depends on the function and the machine (a backward pass is one to three
forward passes), and what it is worth on how nonlinear the function is over the spread of the
latents. So both are measured: the time of a forward and a backward pass of the whole batch, and
the error of every method on a few rows, against Taylor-controlled draws.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sure_pyro.propagation.covariance import Covariance
from sure_pyro.propagation.delta_method import taylor
from sure_pyro.propagation.differentiation import differentiation
from sure_pyro.propagation.inputs import Function, Inputs, Mean, Variance
from sure_pyro.propagation.linearise import linearise
from sure_pyro.propagation.moments import TOTAL, Moments
from sure_pyro.propagation.monte_carlo import sampling
from sure_pyro.propagation.more.sigma_points import unscented
from sure_pyro.propagation.prepare import prepare
from sure_pyro.propagation.rows import split_rows

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 64  # draws: with fewer, a control may cost more than it brings


@dataclass(frozen=True)
class Candidate:
    """What a method is expected to cost for the whole batch, and its relative error.

    The error is NaN for a method that was not tried because it costs more than another that does.
    """

    name: str
    call: str
    passes: str
    seconds: float
    error: float


@dataclass(frozen=True)
class Recommendation:
    """The cheapest method within the tolerance, and what was weighed. Prints as a table."""

    method: Candidate
    reason: str
    candidates: tuple[Candidate, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """Convert to a table with one line per method, cheapest first."""
        import pandas as pd

        lines = sorted(
            (vars(candidate) for candidate in self.candidates), key=lambda line: line["seconds"]
        )
        return pd.DataFrame(lines).set_index("name")

    def __repr__(self) -> str:
        return f"{self.reason}\n{self.to_dataframe().to_string(float_format='{:.3g}'.format)}"


def recommend(
    fn: Function,
    mean: Mean,
    variance: Variance,
    *,
    tolerance: float = 0.05,
    pilot_rows: int = 16,
    pilot_samples: int = 128,
    seed: int = 0,
) -> Recommendation:
    """Say which method to use for these B rows, C outputs and D latent entries, and why.

    Tries the methods on `pilot_rows` of the uncertain rows and times a forward and a backward pass
    of all of them; takes about as long as ``2 * pilot_samples * pilot_rows / B + 10`` forward
    passes. Sigma points, whose cost grows with D, are tried only where they could be the cheapest.

    Parameters
    ----------
    fn, mean, variance
        As in `taylor`.
    tolerance : float
        Relative error of a variance to be reached: a standard error for a method that draws, the
        error for one that does not (taken at its upper 95 % end, as far as the pilot can tell).
    pilot_rows, pilot_samples : int
        Size of the trial.
    seed : int
        Of the trial.

    Returns
    -------
    Recommendation

    Raises
    ------
    ValueError
        If nothing is uncertain, or `tolerance` is not positive.
    """
    if not tolerance > 0:
        raise ValueError(f"`tolerance` must be positive; got {tolerance}.")
    inputs = prepare(fn, mean, variance)
    uncertain, _ = split_rows(inputs)
    if not len(uncertain):
        raise ValueError("`variance` is zero everywhere: a forward pass is all it takes.")
    few = uncertain[torch.linspace(0, len(uncertain) - 1, pilot_rows).long().unique()]
    args = (fn, _take(mean, few), _take(variance, few))
    pilot, block = _Pilot.of(*args, pilot_samples, seed), inputs.rows(uncertain)
    forward, backward = _times(block)
    candidates = _gradients_and_draws(block, pilot, forward, backward, tolerance)
    points = _sigma_points(block, forward)
    if points.seconds < _cheapest(candidates, tolerance).seconds:
        points = replace(points, error=pilot.distance(unscented(*args)))
    candidates = (*candidates, points)
    best = _cheapest(candidates, tolerance)
    reason = (
        f"Use {best.call}: {best.passes}, about {best.seconds:.2g} s, relative error "
        f"{best.error:.2g} (asked for {tolerance:.2g})."
    )
    return Recommendation(best, reason, candidates)


def _cheapest(candidates: tuple[Candidate, ...], tolerance: float) -> Candidate:
    return min((c for c in candidates if c.error <= tolerance), key=lambda c: c.seconds)


@dataclass(frozen=True)
class _Pilot:
    """The best variances of the trial, and relative errors of the methods against them."""

    variance: Tensor
    taylor: float
    plain: float  # of one draw
    controlled: float  # of one draw

    @classmethod
    def of(
        cls, fn: Function, mean: Mean, variance: Variance, num_samples: int, seed: int
    ) -> _Pilot:
        draw = partial(
            sampling, fn, mean, variance, num_samples=num_samples, seed=seed, by_source=False
        )
        plain, best = draw(), draw(control="taylor")
        plain_error, error = (
            _size(y.errors[TOTAL]) / _size(best.variance) * num_samples**0.5 for y in (plain, best)
        )
        untried = cls(best.variance, 0.0, plain_error, error)
        return replace(untried, taylor=untried.distance(taylor(fn, mean, variance)))

    def distance(self, y: Moments) -> float:
        """Relative error of a method without noise: the trial's own included, so an upper end."""
        return _size(y.variance - self.variance) / _size(self.variance)


def _size(value: Tensor) -> float:
    # A function that ignores its latents has no variance, and no error either.
    return max(float(value.double().square().sum().sqrt()), torch.finfo(torch.float64).tiny)


def _gradients_and_draws(
    inputs: Inputs, pilot: _Pilot, forward: float, backward: float, tolerance: float
) -> tuple[Candidate, ...]:
    """Candidates for all the uncertain rows, with as many draws as each needs."""
    C = pilot.variance.shape[1]
    several = inputs.num_uncertain() > 1
    runs = 1 + sum(float((rows & several).float().mean()) for rows in inputs.active.values())

    def drawn(name: str, error: float, before: float, call: str, passes: str) -> Candidate:
        n = max(FEWEST, math.ceil((error / tolerance) ** 2))
        seconds = before + runs * n * forward
        reached = error / n**0.5
        return Candidate(name, call.format(n), passes.format(n, f"{runs:.2g}"), seconds, reached)

    exact = forward + C * backward
    gradients = f"1 forward and {C} backward passes"
    draws = "{} draws of {} forward passes"
    control = 'sampling(..., num_samples={}, control="taylor")'
    return (
        Candidate("taylor", "taylor(...)", gradients, exact, pilot.taylor),
        drawn("sampling", pilot.plain, 0.0, "sampling(..., num_samples={})", draws),
        drawn("controlled", pilot.controlled, exact, control, f"{gradients}, {draws}"),
    )


def _sigma_points(inputs: Inputs, forward: float) -> Candidate:
    """Sigma points, not tried yet."""
    D = sum(c.columns for c in inputs.covariances.values())
    passes = 2 * D * (2 if (inputs.num_uncertain() > 1).any() else 1)
    seconds = passes * forward
    return Candidate("unscented", "unscented(...)", f"{passes} forward passes", seconds, math.nan)


def _times(inputs: Inputs) -> tuple[float, float]:
    """Seconds of a forward pass, and of one backward pass."""
    with torch.no_grad():
        forward = _seconds(inputs.evaluate_mean, inputs.device)
    with differentiation(twice=False):
        recorded = _seconds(lambda: linearise(inputs), inputs.device)
        both = _seconds(lambda: next(linearise(inputs)[2]), inputs.device)
    return forward, max(both - recorded, 0.0)


def _seconds(call: Callable[[], object], device: torch.device, repeats: int = 3) -> float:
    """Median time of a call, after one that warms up."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _take(values: Mean | Variance, rows: Tensor) -> Any:
    if isinstance(values, Mapping):
        return {name: _take(value, rows) for name, value in values.items()}
    return values.rows(rows) if isinstance(values, Covariance) else values[rows]
