"""How long to draw: a number of draws, or until every variance is known well enough."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import torch

from sure_pyro.propagation.draws import Draws
from sure_pyro.propagation.runs import DrawnChunk, Run


@dataclass(frozen=True)
class Budget:
    """At least `num_samples` draws, then on to `relative_error`, but not past `max_samples`."""

    num_samples: int
    relative_error: float | None
    max_samples: int
    max_rows: int

    def __post_init__(self) -> None:
        if self.num_samples < 2:
            raise ValueError(
                f"`num_samples` must be at least 2 for a variance; got {self.num_samples}."
            )
        if self.max_rows < 1:
            raise ValueError(f"`max_rows` must be positive; got {self.max_rows}.")
        if self.relative_error is not None and not self.relative_error > 0:
            raise ValueError(f"`relative_error` must be positive; got {self.relative_error}.")

    def missing(self, runs: list[Run]) -> int:
        """How many more draws are wanted after those that the runs have; 0 to stop."""
        n = runs[0].sums.n
        if n == 0:
            return self.num_samples
        if self.relative_error is None:
            return 0
        reached = _worst_relative_error(runs[0])
        if reached <= self.relative_error or not math.isfinite(reached):
            return 0  # what is not finite is refused with its rows, once all are together
        if n >= self.max_samples:
            warnings.warn(
                f"Stopped after {n} draws at a relative standard error of {reached:.2g}, short of "
                f"{self.relative_error:.2g}: raise `max_samples`, or use control='taylor'.",
                stacklevel=4,
            )
            return 0
        # Errors shrink with the root of n; at most double, for the estimate itself is noisy.
        target = math.ceil(n * (reached / self.relative_error) ** 2)
        return min(target - n, n, self.max_samples - n)


def _worst_relative_error(run: Run) -> float:
    found = run.estimate()
    relative = found.variance_error / found.variance
    return float(torch.where(found.variance > 0, relative, 0 * relative).max())


def draw(runs: list[Run], draws: Draws, budget: Budget) -> None:
    """Draw in chunks, the same noise for all runs, until the budget is content."""
    inputs = runs[0].inputs
    chunk = max(1, budget.max_rows // len(inputs))
    while missing := budget.missing(runs):
        each = math.ceil(missing / draws.replicates)
        for start in range(0, each, chunk):
            for replicate in range(draws.replicates):
                noise = draws.draw(min(chunk, each - start), replicate)
                drawn = DrawnChunk(
                    {name: inputs.covariances[name].root(eps) for name, eps in noise.items()},
                    draws.seeds(min(chunk, each - start)) if inputs.weights else None,
                )
                for run in runs:
                    run.update(drawn, replicate)
