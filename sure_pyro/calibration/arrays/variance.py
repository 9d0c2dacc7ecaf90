r"""Recalibration of variances on held-out rows, per mask pattern.

A pattern k with n_k rows has its own curve f_k and shares the overall curve f:

.. math:: \log \sigma'^2 = w_k \log f_k(\sigma^2) + (1 - w_k) \log f(\sigma^2),
          \qquad w_k = \frac{n_k}{n_k + n_0}

with n_0 from `shrinkage`: a rare pattern stays near the overall fit, and a pattern that was never
seen gets exactly that, which the result says. All curves share a factor that brings the overall
fit back towards the model as it was trained, as far as the rows leave it uncertain. What comes back
are variances, not quantiles only, so they can be propagated.

Where the world drifts, a factor per pattern is updated online (`online`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from jaxtyping import Bool, Float, Num, Shaped

from sure_pyro.calibration.arrays import shrinkage
from sure_pyro.calibration.arrays.curves import (
    FLOOR,
    MINIMUM_ROWS,
    SHAPES,
    Curve,
    fit_curve,
    rescale,
)
from sure_pyro.calibration.arrays.online import (
    OnlineValue,
    check_step,
    move_factor,
    update_by_pattern,
)
from sure_pyro.metrics import check
from sure_pyro.metrics.patterns import Pattern, rows_by_pattern
from sure_pyro.stored import Stored

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Recalibrated:
    """Recalibrated values and, per row, what they rest on.

    Parameters
    ----------
    value : ndarray
        Variances or probabilities, in the shape and dtype that came in.
    seen : bool ndarray, shape (N,)
        Whether the row's pattern was in the fit; where not, the overall fit was applied.
    weight : ndarray, shape (N,)
        Weight of the pattern's own fit, 0 (all overall) to 1 (all its own).
    """

    value: Float[np.ndarray, " ..."]
    seen: Bool[np.ndarray, " N"]
    weight: Float[np.ndarray, " N"]


@dataclass(frozen=True)
class OwnFit(Stored):
    """A pattern's own curve, the rows it rests on and the weight it has against the overall.

    `mean` is the mean of the rows' recalibrated variances, by both curves as they weigh.
    """

    curve: Curve
    rows: int
    weight: float
    mean: float


@dataclass(frozen=True, eq=False)
class VarianceRecalibration(Stored):
    """A variance map per mask pattern; make one with `fit`.

    Parameters
    ----------
    kind : {"scale", "affine", "isotonic"}
    overall : Curve
    patterns : dict of OwnFit
    pseudo_count : float
        How many rows the overall fit counts for (n_0).
    mean : float
        Mean of all rows' variances by the overall curve.
    online : dict of OnlineValue
        By pattern, the factor since the fit, and after how many rows; see `update_online`.
    """

    kind: str
    overall: Curve
    patterns: Mapping[Pattern, OwnFit]
    pseudo_count: float
    mean: float
    online: Mapping[Pattern, OnlineValue] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        variance: Num[np.ndarray, " _N *_D"],
        squared_error: Num[np.ndarray, " _N *_D"],
        pattern: Shaped[np.ndarray, " _N"],
        kind: Literal["scale", "affine", "isotonic"] = "scale",
        pseudo_count: float | None = None,
        row: Shaped[np.ndarray, " _N"] | None = None,
        groups: Shaped[np.ndarray, " _N"] | None = None,
        prior_scale: float = shrinkage.PRIOR_SCALE,
    ) -> VarianceRecalibration:
        """Fit on held-out rows (by group, where there are groups), never on training rows.

        Parameters
        ----------
        variance, squared_error : ndarray, shape (N,) or (N, D)
            Of ONE target; the D entries of a row share a curve.
        pattern : ndarray of str or int, shape (N,)
        kind : {"scale", "affine", "isotonic"}
            The shape of the curve. Patterns with fewer than 100 (affine) or 500 rows (isotonic)
            borrow the overall shape and have a scale of their own.
        pseudo_count : float, optional
            n_0 in rows. None estimates it from how much patterns differ beyond chance.
        row, groups : ndarray of str or int, shape (N,), optional
            Which entries are one row under several masks, and which rows err together (a subject,
            a week), so that chance is told apart rightly.
        prior_scale : float
            Of the Cauchy prior of the overall log factor. Infinite: the mean variance of all
            rows becomes their mean squared error, however few they are.

        Raises
        ------
        ValueError
            If shapes differ, a value is negative, or every variance or every error is zero.
        """
        s2, e2, pattern = _checked(variance, squared_error, pattern)
        check.choice("kind", kind, SHAPES)
        cells = dict(rows_by_pattern(pattern))
        overall = fit_curve(kind, s2.ravel(), e2.ravel())
        row, groups = check.rows_and_groups(row, groups, len(s2))
        ratios = _log_ratios(overall(s2), e2, cells)
        n0 = shrinkage.pseudo_count(pseudo_count, *ratios, cells, row, groups)
        shrink = _towards_model(s2, e2, groups, prior_scale)
        everyone, own = overall.times(shrink), {}
        for name, k in cells.items():
            curve = _own_curve(kind, overall, s2[k].ravel(), e2[k].ravel(), len(k)).times(shrink)
            weight = shrinkage.own_weight(len(k), n0)
            mean = float(_blend(curve, everyone, weight, s2[k]).mean())
            own[name] = OwnFit(curve, len(k), weight, mean)
        return cls(kind, everyone, own, n0, float(everyone(s2).mean()))

    def transform(
        self, variance: Num[np.ndarray, " _N *_D"], pattern: Shaped[np.ndarray, " _N"]
    ) -> Recalibrated:
        """Recalibrate variances (N,) or (N, D); a variance of zero stays known exactly."""
        s2 = check.not_negative("variance", check.numbers("variance", variance, (1, 2)))
        pattern = check.known_kind("pattern", pattern, len(s2), self.patterns)
        value = self.overall(s2)
        seen, weight = np.zeros(len(s2), dtype=bool), np.zeros(len(s2))
        for name, k in rows_by_pattern(pattern):
            seen[k] = name in self.known
            if (own := self.patterns.get(name)) is not None:
                weight[k] = own.weight
                value[k] = _blend(own.curve, self.overall, own.weight, s2[k])
            value[k] *= self._since(name).value
        # Zero marks an entry that was observed: nothing is uncertain there, so nothing is scaled.
        value = np.where(s2 > 0, value, 0.0).astype(_dtype(variance))
        return Recalibrated(value, seen, weight)

    def update_online(
        self,
        variance: Num[np.ndarray, " _N *_D"],
        squared_error: Num[np.ndarray, " _N *_D"],
        pattern: Shaped[np.ndarray, " _N"],
        step: float = 0.01,
        together: bool = False,
    ) -> tuple[Recalibrated, VarianceRecalibration]:
        """Go through rows in order of time, each with what the outcomes before it have taught.

        Parameters
        ----------
        variance, squared_error, pattern
            As in `fit`, in order of time; the D entries of a row count by their means.
        step : float in (0, 1)
            Where variances are as large as in the fit, a factor is about an average over its last
            1 / `step` rows; where they are smaller, over more.
        together : bool
            Whether all outcomes become known after the last row.

        Returns
        -------
        Recalibrated
            Of each row, from the rows before it. Within every pattern their mean variance is their
            mean squared error in the long run, whatever order errors come in, as long as they stay
            bounded: `online` says how far.
        VarianceRecalibration
            As it stands after the last row.

        Raises
        ------
        ValueError
            If shapes differ, a value is negative, or `step` is out of range or too large for
            the rows that come together.
        """
        values = {"variance": variance, "squared_error": squared_error}
        s2, e2 = (
            check.not_negative(*x) for x in zip(values, check.alike(values, (1, 2)), strict=True)
        )
        pattern = check.keys("pattern", pattern, len(s2))
        check_step(step, pattern, together)
        fit = replace(self, online={}).transform(s2, pattern)
        v, e = _of_rows(fit.value), _of_rows(e2)

        def move(name: Pattern, f: float, t: np.ndarray) -> float:
            unit = self.patterns[name].mean if name in self.patterns else self.mean
            return move_factor(f, v[t], e[t], unit, step)

        start = {name: self._since(name) for name in np.unique(pattern).tolist()}
        factor, ends = update_by_pattern(pattern, start, move, together)
        value = (fit.value.T * factor).T.astype(_dtype(variance))
        seen = np.isin(pattern, self.known)
        after = replace(self, online={**self.online, **ends})
        return replace(fit, value=value, seen=seen), after

    @property
    def known(self) -> list[Pattern]:
        """Patterns that were in the fit, or in an online update since."""
        return list(dict.fromkeys([*self.patterns, *self.online]))

    def _since(self, name: Pattern) -> OnlineValue:
        return self.online.get(name, OnlineValue(1.0, 0))

    @classmethod
    def unchanged(cls, variance: Num[np.ndarray, " _N *_D"]) -> VarianceRecalibration:
        """Leave variances such as these as they are, until an online update."""
        return cls("scale", Curve(), {}, float("inf"), float(np.mean(variance)))

    def to_dataframe(self) -> pd.DataFrame:
        """Give one line per pattern: rows, weight, and the factor on its mean variance.

        ``factor`` is what online updates with ``updated_rows`` rows have multiplied that by.
        """
        import pandas as pd

        rows = sum(own.rows for own in self.patterns.values())
        updated_rows = sum(x.rows for x in self.online.values())
        lines: list[tuple] = [("overall", rows, 1.0, self.overall.scale, 1.0, updated_rows)]
        for name in self.known:
            own = self.patterns.get(name, OwnFit(self.overall, 0, 0.0, 0.0))
            lines.append((name, own.rows, own.weight, own.curve.scale, *self._since(name)))
        columns = ["pattern", "rows", "weight", "scale", "factor", "updated_rows"]
        return pd.DataFrame(lines, columns=columns)


def _checked(
    variance: np.ndarray, squared_error: np.ndarray, pattern: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    values = {"variance": variance, "squared_error": squared_error}
    s2, e2 = check.alike(values, ndim=(1, 2))
    for name, array in (("variance", s2), ("squared_error", e2)):
        if not check.not_negative(name, array).any():
            raise ValueError(f"Every `{name}` is zero: there is no scale to recalibrate.")
    return s2, e2, check.keys("pattern", pattern, len(s2))


def _blend(own: Curve, overall: Curve, weight: float, s2: np.ndarray) -> np.ndarray:
    return own(s2) ** weight * overall(s2) ** (1 - weight)


def _own_curve(kind: str, overall: Curve, s2: np.ndarray, e2: np.ndarray, rows: int) -> Curve:
    if not e2.any() or not s2.any():
        # No error in a handful of rows is luck and not certainty; the weight shrinks it further.
        return replace(overall, scale=overall.scale * FLOOR)
    enough = rows >= MINIMUM_ROWS[kind]
    return fit_curve(kind, s2, e2) if enough else rescale(overall, s2, e2)


def _log_ratios(
    s2: np.ndarray, e2: np.ndarray, cells: Mapping[Pattern, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Log ratio of mean e^2 to mean s2 of each pattern (K,), and the influence of each row (N,).

    By the delta method a row contributes the variance of e^2 / mean(e^2) - s2 / mean(s2) to a log
    ratio. The entries of a row are averaged first: they err together, so they are one observation.
    """
    u, e = _of_rows(s2), _of_rows(e2)
    floor, influence, ratio = FLOOR * e.mean(), np.empty(len(u)), []
    for k in cells.values():
        mean_u, mean_e = max(u[k].mean(), floor), max(e[k].mean(), floor)
        influence[k] = e[k] / mean_e - u[k] / mean_u
        ratio.append(mean_e / mean_u)
    return np.log(ratio), influence


def _towards_model(s2: np.ndarray, e2: np.ndarray, groups: np.ndarray, prior_scale: float) -> float:
    """Shrink the log ratio of mean e^2 to mean s2 of all rows; influences as in `_log_ratios`."""
    u, e = _of_rows(s2), _of_rows(e2)
    log_ratio = float(np.log(e.mean() / u.mean()))
    influence = e / e.mean() - u / u.mean()
    return shrinkage.towards_model(log_ratio, influence, groups, prior_scale)


def _of_rows(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1).mean(1)


def _dtype(array: np.ndarray) -> np.dtype:
    dtype = np.asarray(array).dtype
    return dtype if dtype.kind == "f" else np.dtype(np.float64)
