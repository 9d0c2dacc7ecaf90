r"""Taylor against sampling, for every output and source: do the two methods say the same.

.. math:: \text{ratio} = s^2_\text{taylor} / s^2_\text{sampling}

(equation 11), pooled over the rows of the batch: sum over sum, whose standard error
shrinks with the number of rows because their draws are independent. After Taylor-controlled
draws the standard error of the denominator is that of the *paired* difference: the linearised
output of every draw, whose variance is Taylor's exactly, has been taken out of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sure_pyro.propagation.moments import INTERACTION, TOTAL, Moments
from sure_pyro.propagation.verdict import (
    AGREE,
    DIFFER,
    DISAGREE,
    UNDECIDED,
    Margins,
    ratio_and_error,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Comparison:
    """One source (or the total), over B rows and C outputs."""

    taylor: Float[Tensor, "B C"]
    sampled: Float[Tensor, "B C"]
    error: Float[Tensor, "B C"]  # standard error of `sampled`
    margins: Margins
    rows_share_draws: bool = False

    @property
    def pooled_error(self) -> Float[Tensor, " C"]:
        """Standard error of the sum over the rows."""
        if self.rows_share_draws:
            return self.error.sum(0)  # errors may all go the same way
        return self.error.square().sum(0).sqrt()

    def pooled(self) -> tuple[Float[Tensor, " C"], Float[Tensor, " C"]]:
        """Ratio over all rows, and the standard error of its logarithm."""
        return ratio_and_error(self.taylor.sum(0), self.sampled.sum(0), self.pooled_error)

    def by_row(self) -> tuple[Float[Tensor, "B C"], Float[Tensor, "B C"]]:
        """Ratio in every row, and the standard error of its logarithm."""
        return ratio_and_error(self.taylor, self.sampled, self.error)

    def difference(self) -> Float[Tensor, " C"]:
        """Pooled difference in standard errors; zero where both are equal."""
        gap = (self.taylor - self.sampled).sum(0)
        return torch.where(gap == 0, gap, gap / self.pooled_error)

    def rows_off(self) -> Bool[Tensor, "B C"]:
        """Rows that are beyond tolerance for certain: tested jointly over all rows."""
        ratio, error = self.by_row()
        return self.margins.beyond(ratio, error, comparisons=len(ratio))

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of the table, one per output."""
        ratio, error = self.pooled()
        columns = {
            "taylor": self.taylor.mean(0),
            "sampling": self.sampled.mean(0),
            "ratio": ratio,
            "ratio_error": ratio * error,
            "difference": self.difference(),
            "rows_off": self.rows_off().double().mean(0),
        }
        values = {key: column.tolist() for key, column in columns.items()}
        return [
            {"source": name, "output": c}
            | {key: column[c] for key, column in values.items()}
            | {"verdict": word}
            for c, word in enumerate(self.verdicts())
        ]

    def verdicts(self) -> list[str]:
        """Return one word per output."""
        ratio, error = self.pooled()
        beyond, within = self.margins.beyond(ratio, error), self.margins.within(ratio, error)
        words = {
            (False, True): AGREE,
            (True, True): DIFFER,
            (True, False): DISAGREE,
            (False, False): UNDECIDED,
        }
        return [words[b, w] for b, w in zip(beyond.tolist(), within.tolist(), strict=True)]


@dataclass(frozen=True, eq=False, repr=False)
class CrossCheck:
    """A comparison for every source, and for the ``"total"``. Prints as a table.

    The nonlinearity index (B, C) is the share of the variance that the linearised output does
    not explain, 0 for an affine function: a map of where linearisation fails. It is known
    after Taylor-controlled draws.
    """

    comparisons: dict[str, Comparison]
    margins: Margins
    num_samples: int
    nonlinearity: Float[Tensor, "B C"] | None

    @property
    def verdicts(self) -> dict[str, list[str]]:
        """One word per output, by source."""
        return {name: comparison.verdicts() for name, comparison in self.comparisons.items()}

    @property
    def agrees(self) -> bool:
        """Whether every verdict is ``"agree"``."""
        return all(word == AGREE for words in self.verdicts.values() for word in words)

    def to_dataframe(self) -> pd.DataFrame:
        """Convert to a table with one line per source and output.

        `taylor` and `sampling` are variances averaged over the rows, `ratio` is of their sums
        with standard error `ratio_error`, `difference` is Taylor minus sampling in standard
        errors, and `rows_off` the share of rows that are beyond tolerance for certain.
        """
        import pandas as pd

        return pd.DataFrame(self._lines()).set_index(["source", "output"])

    def summary(self) -> str:
        """Say in one line what to think of it."""
        words = [word for column in self.verdicts.values() for word in column]
        kinds = [kind for kind in (AGREE, DIFFER, DISAGREE, UNDECIDED) if kind in words]
        counts = ", ".join(f"{words.count(kind)} {kind}" for kind in kinds)
        text = f"Taylor against {self.num_samples} draws, {len(words)} variances: {counts}."
        return text if self.agrees else f"{text} {self._worst()}"

    def _lines(self) -> list[dict[str, Any]]:
        return [line for name, c in self.comparisons.items() for line in c.lines(name)]

    def _worst(self) -> str:
        lines = self._lines()
        found = {line["verdict"] for line in lines}
        kind = next(kind for kind in (DISAGREE, DIFFER, UNDECIDED) if kind in found)
        worst = max(
            (line for line in lines if line["verdict"] == kind),
            key=lambda line: abs(math.log(line["ratio"])) if line["ratio"] > 0 else math.inf,
        )
        text = (
            f"Worst: source '{worst['source']}', output {worst['output']}, ratio "
            f"{worst['ratio']:.3g} +- {worst['ratio_error']:.2g} ({kind})"
        )
        if kind == UNDECIDED:
            error = worst["ratio_error"] / worst["ratio"]
            text += f"; about {self.margins.needed(self.num_samples, error)} draws would tell"
        return text + "."

    def __repr__(self) -> str:
        return f"{self.summary()}\n{self.to_dataframe().to_string(float_format='{:.3g}'.format)}"


def cross_check(
    taylor: Moments,
    sampling: Moments,
    *,
    tolerance: float = 0.05,
    limit: float = 0.25,
    confidence: float = 0.95,
) -> CrossCheck:
    """Compare two methods, by output and source, with a verdict in words.

    Parameters
    ----------
    taylor : Moments
        Of a method without Monte Carlo error: `taylor`, or one of `sure_pyro.propagation.more`.
    sampling : Moments
        From `sampling` of the same inputs; ``control="taylor"`` makes it far sharper.
    tolerance, limit, confidence : float
        Right within `tolerance`, wrong beyond `limit`; see `sure_pyro.propagation.verdict`.

    Returns
    -------
    CrossCheck
        The sources that both have, and the ``"total"``.

    Raises
    ------
    ValueError
        If the shapes differ, or `sampling` carries no standard errors.
    """
    if taylor.mean.shape != sampling.mean.shape:
        raise ValueError(
            "`taylor` and `sampling` must be of the same rows and outputs; got shapes "
            f"{tuple(taylor.mean.shape)} and {tuple(sampling.mean.shape)}."
        )
    if TOTAL not in sampling.errors:
        raise ValueError(
            "`sampling` carries no standard errors: pass the moments by `sampling(...)` second."
        )
    margins = Margins(tolerance, limit, confidence)
    common = [name for name in sampling.sources if name in taylor.sources and name != INTERACTION]
    triples = {n: (taylor.sources[n], sampling.sources[n], sampling.errors[n]) for n in common}
    triples[TOTAL] = (taylor.variance, sampling.variance, sampling.errors[TOTAL])
    comparisons = {
        name: Comparison(
            s2.detach().double(),
            sampled.detach().double(),
            error.detach().double(),
            margins,
            sampling.rows_share_draws,
        )
        for name, (s2, sampled, error) in triples.items()
    }
    index = None if sampling.explained is None else 1 - sampling.explained
    return CrossCheck(comparisons, margins, sampling.num_samples or 0, index)


def assert_agree(
    taylor: Moments,
    sampling: Moments,
    *,
    tolerance: float = 0.05,
    limit: float = 0.25,
    confidence: float = 0.99,
) -> None:
    """Fail unless the two methods agree, for tests and notebooks.

    All outputs and sources are tested jointly: where everything is right within `tolerance`,
    it fails for one of them in at most 1 - `confidence` of repetitions, given enough draws.

    Raises
    ------
    AssertionError
        With the summary and the table, if a variance is beyond `tolerance`, or if the draws
        are too few to tell that all are within `limit`.
    """
    compared = [n for n in sampling.sources if n in taylor.sources and n != INTERACTION]
    cells = (len(compared) + 1) * taylor.mean.shape[-1]
    joint = 1 - (1 - confidence) / cells  # Bonferroni
    check = cross_check(taylor, sampling, tolerance=tolerance, limit=limit, confidence=joint)
    if not check.agrees:
        raise AssertionError(repr(check))
