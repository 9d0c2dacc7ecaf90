r"""Temperature scaling of class probabilities, per mask pattern (Guo et al. 2017).

.. math:: p'_c \propto p_c^{1/T}

One number T per pattern, by maximum likelihood on held-out rows, shrunk on the log scale towards
the overall temperature, and that towards 1, as in `shrinkage`. It changes confidences and never
the order of the classes, so the accuracy stays as it is.

Where the world drifts, temperatures follow outcomes as they become known (`following`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import scipy.optimize
import scipy.special
from jaxtyping import Int, Num, Shaped

from sure_pyro.calibration.arrays import shrinkage
from sure_pyro.calibration.arrays.online import (
    Followed,
    check_step,
    follow,
    largest_sum,
    move_temperature,
)
from sure_pyro.calibration.arrays.variance import Recalibrated
from sure_pyro.metrics import check
from sure_pyro.metrics.patterns import Pattern, rows_by_pattern
from sure_pyro.stored import Stored

if TYPE_CHECKING:
    import pandas as pd

RANGE = (0.05, 20.0)  # where a pattern without a single mistake, or without skill, comes to rest


@dataclass(frozen=True, eq=False)
class TemperatureScaling(Stored):
    """A temperature per mask pattern; make one with `fit`.

    Parameters
    ----------
    overall : float
        Temperature of all rows together; above 1 the model was overconfident.
    patterns : dict of (own temperature, rows, weight of the own temperature)
    pseudo_count : float
        How many rows the overall temperature counts for (n_0).
    followed : dict of Followed
        By pattern, the temperature in place of the fit's, and after how many rows; see `follow`.
    """

    overall: float
    patterns: Mapping[Pattern, tuple[float, int, float]]
    pseudo_count: float
    followed: Mapping[Pattern, Followed] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        probability: Num[np.ndarray, "_N _C"],
        label: Int[np.ndarray, " _N"],
        pattern: Shaped[np.ndarray, " _N"],
        pseudo_count: float | None = None,
        row: Shaped[np.ndarray, " _N"] | None = None,
        groups: Shaped[np.ndarray, " _N"] | None = None,
        prior_scale: float = shrinkage.PRIOR_SCALE,
    ) -> TemperatureScaling:
        """Fit on held-out rows.

        Parameters
        ----------
        probability : ndarray, shape (N, C)
        label : ndarray of int, shape (N,)
        pattern : ndarray of str or int, shape (N,)
        pseudo_count : float, optional
            n_0 in rows. None estimates it from how much patterns differ beyond chance.
        row, groups : ndarray of str or int, shape (N,), optional
            Which entries are one row under several masks, and which rows err together (a subject,
            a week), so that chance is told apart rightly.
        prior_scale : float
            Of the Cauchy prior of the overall log T; infinite: maximum likelihood.
        """
        logit = _logits(probability)
        y = check.labels("label", label, *logit.shape)
        cells = dict(rows_by_pattern(check.keys("pattern", pattern, len(y))))
        overall = _maximum_likelihood(logit, y)
        own = {name: _maximum_likelihood(logit[k], y[k]) for name, k in cells.items()}
        rows = np.array([len(k) for k in cells.values()])
        row, groups = check.rows_and_groups(row, groups, len(y))
        influence = _influence(logit, y, overall)
        n0 = pseudo_count
        if n0 is None:
            order = np.concatenate(list(cells.values()))
            number = np.repeat(np.arange(len(rows)), rows)
            noise = shrinkage.row_variance(influence[order], number, row[order], groups[order])
            n0 = shrinkage.moment_pseudo_count(np.log(list(own.values())), rows, noise)
        if n0 < 0:
            raise ValueError(f"`pseudo_count` must be at least 0; got {n0}.")
        shrink = shrinkage.towards_model(float(np.log(overall)), influence, groups, prior_scale)
        patterns = {
            name: (T * shrink, int(n), shrinkage.own_weight(int(n), n0))
            for (name, T), n in zip(own.items(), rows, strict=True)
        }
        return cls(overall * shrink, patterns, float(n0))

    def temperature(self, pattern: Pattern) -> float:
        """Temperature used for a pattern.

        Where it followed outcomes to; else its own, shrunk; the overall one if never seen.
        """
        if pattern in self.followed:
            return self.followed[pattern].value
        own, _, weight = self.patterns.get(pattern, (self.overall, 0, 0.0))
        return float(own**weight * self.overall ** (1 - weight))

    def transform(
        self, probability: Num[np.ndarray, "_N _C"], pattern: Shaped[np.ndarray, " _N"]
    ) -> Recalibrated:
        """Recalibrate probabilities (N, C)."""
        logit = _logits(probability)
        pattern = check.known_kind("pattern", pattern, len(logit), self.patterns)
        T, weight, seen = np.empty(len(logit)), np.zeros(len(logit)), np.zeros(len(logit), bool)
        for name, k in rows_by_pattern(pattern):
            T[k] = self.temperature(name)
            seen[k] = name in self.patterns or name in self.followed
            weight[k] = self.patterns[name][2] if name in self.patterns else 0.0
        return Recalibrated(_softened(logit, T, probability), seen, weight)

    def follow(
        self,
        probability: Num[np.ndarray, "_N _C"],
        label: Int[np.ndarray, " _N"],
        pattern: Shaped[np.ndarray, " _N"],
        step: float = 0.01,
        together: bool = False,
    ) -> tuple[Recalibrated, TemperatureScaling]:
        """Go through rows in order of time, each with what the labels before it have taught.

        Parameters
        ----------
        probability, label, pattern
            As in `fit`, in order of time.
        step : float in (0, 1)
            How fast a temperature follows: its log rises by 5 `step` times the confidence after
            a wrong answer, and falls by 5 `step` times the doubt after a right one.
        together : bool
            Whether all labels become known after the last row.

        Returns
        -------
        Recalibrated
            Of each row, from the rows before it. Within every pattern the error rate that they
            claim is the actual one in the long run, whatever order labels come in, as long as the
            temperature stays within 0.05 to 20: no temperature claims more errors than a guess
            makes, 1 - 1 / C.
        TemperatureScaling
            As it stands after the last row.

        Raises
        ------
        ValueError
            If shapes differ, a label is none of the classes, or `step` is out of range or too large
            for the rows that come together.
        """
        logit = _logits(probability)
        y = check.labels("label", label, *logit.shape)
        before = self.transform(probability, pattern)
        pattern = check.keys("pattern", pattern, len(y))
        check_step(step, pattern, together, largest_sum(logit.shape[1]))
        wrong = logit.argmax(1) != y

        def move(_: Pattern, T: float, t: np.ndarray) -> float:
            doubt = 1 - scipy.special.softmax(logit[t] / T, axis=1).max(1)
            return move_temperature(T, doubt, wrong[t], RANGE, step)

        rows = {name: f.rows for name, f in self.followed.items()}
        start = {
            name: Followed(self.temperature(name), rows.get(name, 0))
            for name in np.unique(pattern).tolist()
        }
        T, ends = follow(pattern, start, move, together)
        value = _softened(logit, T, probability)
        return replace(before, value=value), replace(self, followed={**self.followed, **ends})

    @property
    def known(self) -> list[Pattern]:
        """Patterns that were in the fit, or that it has followed since."""
        return list(dict.fromkeys([*self.patterns, *self.followed]))

    def to_dataframe(self) -> pd.DataFrame:
        """Give one line per pattern: rows, own temperature, weight, temperature used.

        ``followed``: by how many rows' outcomes it came to what is used.
        """
        import pandas as pd

        lines = []
        for name in self.known:
            own, rows, weight = self.patterns.get(name, (self.overall, 0, 0.0))
            fit = {"rows": rows, "own": own, "weight": weight}
            followed = self.followed[name].rows if name in self.followed else 0
            used = self.temperature(name)
            lines.append({"pattern": name, **fit, "used": used, "followed": followed})
        return pd.DataFrame(lines)


def _logits(probability: np.ndarray) -> np.ndarray:
    p = check.probabilities("probability", probability)
    # An exact zero would stay zero at every temperature and make the likelihood infinite.
    return np.log(np.maximum(p, np.finfo(np.float64).eps))


def _softened(logit: np.ndarray, T: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Probabilities at the temperature of each row, in the dtype that came in."""
    dtype = np.asarray(probability).dtype
    p = scipy.special.softmax(logit / T[:, None], axis=1)
    return p.astype(dtype if dtype.kind == "f" else np.float64)


def _maximum_likelihood(logit: np.ndarray, y: np.ndarray) -> float:
    """Minimise the negative log-likelihood over log T; it has one minimum in 1/T."""

    def nll(log_T: float) -> float:
        z = logit / np.exp(log_T)
        return float((scipy.special.logsumexp(z, axis=1) - z[np.arange(len(y)), y]).mean())

    found = scipy.optimize.minimize_scalar(nll, bounds=np.log(RANGE), method="bounded")
    return float(np.exp(found.x))


def _influence(logit: np.ndarray, y: np.ndarray, T: float) -> np.ndarray:
    """Influence of each row on log T: score / information."""
    z = logit / T
    p = scipy.special.softmax(z, axis=1)
    expected = (p * z).sum(1)
    score = expected - z[np.arange(len(y)), y]  # d(nll)/d(log 1/T)
    information = ((p * z**2).sum(1) - expected**2).mean()
    # Where every row is certain, T has no effect: nothing to learn a pattern's own from.
    return score / information if information > 0 else np.full(len(y), 1e9)
