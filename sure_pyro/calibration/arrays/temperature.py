r"""Temperature scaling of class probabilities, per mask pattern (Guo et al. 2017).

.. math:: p'_c \propto p_c^{1/T}

One number T per pattern, by maximum likelihood on held-out rows, shrunk on the log scale towards
the overall temperature, and that towards 1, as in `shrinkage`. It changes confidences and never
the order of the classes, so the accuracy stays as it is.

Where the world drifts, temperatures are updated online (`online`).
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
    OnlineValue,
    check_step,
    largest_temperature_step,
    move_temperature,
    update_by_pattern,
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
    online : dict of OnlineValue
        By pattern, the temperature in place of the fit's, and after how many rows; see
        `update_online`.
    """

    overall: float
    patterns: Mapping[Pattern, tuple[float, int, float]]
    pseudo_count: float
    online: Mapping[Pattern, OnlineValue] = field(default_factory=dict)

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
        row, groups = check.rows_and_groups(row, groups, len(y))
        influence, log_T = _influence(logit, y, overall), np.log(list(own.values()))
        n0 = shrinkage.pseudo_count(pseudo_count, log_T, influence, cells, row, groups)
        shrink = shrinkage.towards_model(float(np.log(overall)), influence, groups, prior_scale)
        patterns = {
            name: (own[name] * shrink, len(k), shrinkage.own_weight(len(k), n0))
            for name, k in cells.items()
        }
        return cls(overall * shrink, patterns, n0)

    def temperature(self, pattern: Pattern) -> float:
        """Temperature used for a pattern.

        What online updates have brought it to; else its own, shrunk; the overall one if never seen.
        """
        if pattern in self.online:
            return self.online[pattern].value
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
            seen[k] = name in self.known
            weight[k] = self.patterns[name][2] if name in self.patterns else 0.0
        return Recalibrated(_softened(logit, T, probability), seen, weight)

    def update_online(
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
            How fast a temperature moves: its log rises by 5 `step` times the confidence after a
            wrong answer, and falls by 5 `step` times the predicted error rate after a right one.
        together : bool
            Whether all labels become known after the last row.

        Returns
        -------
        Recalibrated
            Of each row, from the rows before it. Within every pattern the error rate that they
            predict is the observed one in the long run, whatever order labels come in, as long as
            the temperature stays within 0.05 to 20: no temperature predicts more errors than a
            guess makes, 1 - 1 / C.
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
        check_step(step, pattern, together, largest_temperature_step(logit.shape[1]))
        wrong = logit.argmax(1) != y

        def move(_: Pattern, T: float, t: np.ndarray) -> float:
            predicted_error = 1 - scipy.special.softmax(logit[t] / T, axis=1).max(1)
            return move_temperature(T, predicted_error, wrong[t], RANGE, step)

        start = {p: self._start(p) for p in np.unique(pattern).tolist()}
        T, ends = update_by_pattern(pattern, start, move, together)
        value = _softened(logit, T, probability)
        return replace(before, value=value), replace(self, online={**self.online, **ends})

    def _start(self, name: Pattern) -> OnlineValue:
        return self.online.get(name, OnlineValue(self.temperature(name), 0))

    @property
    def known(self) -> list[Pattern]:
        """Patterns that were in the fit, or in an online update since."""
        return list(dict.fromkeys([*self.patterns, *self.online]))

    def to_dataframe(self) -> pd.DataFrame:
        """Give one line per pattern: rows, own temperature, weight, temperature used.

        ``updated_rows``: with how many rows it was updated online to what is used.
        """
        import pandas as pd

        lines = []
        for name in self.known:
            own, rows, weight = self.patterns.get(name, (self.overall, 0, 0.0))
            fit, (used, updated_rows) = {"rows": rows, "own": own}, self._start(name)
            fit |= {"weight": weight, "used": used, "updated_rows": updated_rows}
            lines.append({"pattern": name, **fit})
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
