r"""Monotone maps from a predicted variance to a recalibrated one, and how they are fitted.

Three shapes g(s2): ``"scale"``, g = s2; ``"affine"``, g = a s2 + b with a, b >= 0 by Gaussian
maximum likelihood; ``"isotonic"``, any non-decreasing step-free curve by isotonic regression of
squared errors. Each is then scaled so that mean g(s2) = mean e^2 on the rows of the fit: the
predicted-to-actual variance ratio is 1 there, whatever the shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.optimize
from sklearn.isotonic import IsotonicRegression

from sure_pyro.stored import Stored

SHAPES = ("scale", "affine", "isotonic")
# Below these rows a pattern borrows the shape of the overall fit and has its own scale only: a
# squared error is so noisy (its variance is twice its squared mean) that a curve needs many.
MINIMUM_ROWS = {"scale": 1, "affine": 100, "isotonic": 500}
FLOOR = 1e-6  # of the mean squared error: no recalibrated variance falls below


@dataclass(frozen=True, eq=False)
class Curve(Stored):
    """Variance map ``scale * max(g(s2), floor)``, with g piecewise linear through the knots.

    Outside the knots an isotonic curve stays constant; for the other shapes g is the straight
    line ``slope * s2 + offset`` and there are no knots.
    """

    scale: float = 1.0
    slope: float = 1.0
    offset: float = 0.0
    floor: float = 0.0
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def __call__(self, s2: np.ndarray) -> np.ndarray:
        """Recalibrate variances of any shape."""
        g = np.interp(s2, self.x, self.y) if self.x else self.slope * s2 + self.offset
        return self.scale * np.maximum(g, self.floor)

    def times(self, factor: float) -> Curve:
        """Multiply the whole curve."""
        return replace(self, scale=self.scale * factor)


def fit_curve(shape: str, s2: np.ndarray, e2: np.ndarray) -> Curve:
    """Fit a shape to variances and squared errors, both flat, and scale it to their ratio."""
    fitted = {"scale": _proportional, "affine": _affine, "isotonic": _isotonic}[shape](s2, e2)
    return rescale(fitted, s2, e2)


def rescale(curve: Curve, s2: np.ndarray, e2: np.ndarray) -> Curve:
    """Scale a curve so that its mean is the mean squared error of these rows."""
    floor = np.finfo(np.float64).tiny
    ratio = max(float(e2.mean()), floor) / max(float(curve(s2).mean()), floor)
    return curve.times(ratio)


def _proportional(s2: np.ndarray, e2: np.ndarray) -> Curve:
    return Curve()


def _affine(s2: np.ndarray, e2: np.ndarray) -> Curve:
    """Minimise the mean of log v + e^2 / v over v = a s2 + b, with a, b >= 0."""
    unit = s2.mean()
    x, t = s2 / unit, e2 / e2.mean()  # both of order one, so that the search is well scaled

    def nll(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        a, b = parameters
        v = a * x + b
        slope = 1 / v - t / v**2  # d(nll)/dv
        return float(np.mean(np.log(v) + t / v)), np.array([(slope * x).mean(), slope.mean()])

    # The lower bound on b keeps v above zero where a variance is zero.
    bounds = [(0.0, None), (FLOOR, None)]
    found = scipy.optimize.minimize(nll, [0.5, 0.5], jac=True, bounds=bounds, method="L-BFGS-B")
    a, b = found.x
    return Curve(scale=float(e2.mean()), slope=float(a / unit), offset=float(b))


def _isotonic(s2: np.ndarray, e2: np.ndarray) -> Curve:
    unit, size = float(s2.mean()), float(e2.mean())
    # In units of their means: the solver merges neighbours that are closer than an absolute 1e-15.
    fit = IsotonicRegression().fit(s2 / unit, e2 / size)
    x, y = fit.X_thresholds_ * unit, fit.y_thresholds_
    # Steps have two knots each; the middle of a step bears its level, lines join the middles, so
    # that the order of two different variances survives.
    level, first = np.unique(y, return_index=True)
    last = len(y) - 1 - np.unique(y[::-1], return_index=True)[1]
    middle = (x[first] + x[last]) / 2
    return Curve(size, floor=FLOOR, x=tuple(middle.tolist()), y=tuple(level.tolist()))
