r"""The correlation that the predicted variances would reach if they were right.

A squared error is one noisy draw of its variance, so rho = 1 is out of reach: perfectly calibrated
Gaussian variances, sigma^2 ~ U(0.1, 1), give rho(sigma^2, e^2) = 0.29 for a single entry. The pair
is averaged over the D latent entries of a row,

.. math:: u_n = \frac1D \sum_d \sigma_{nd}^2, \qquad e_n = \frac1D \sum_d \epsilon_{nd}^2,

which averages noise away, but only as far as the entries of a row err independently. Two versions
bracket what matters:

``"independent"``
    errors drawn from N(0, sigma_nd^2), independent per entry. The upper end. For large N

    .. math:: \rho = \sqrt{\frac{\operatorname{Var}(u)}
        {\operatorname{Var}(u) + \frac{2}{D^2}\operatorname{E}\sum_d \sigma_{nd}^4}}.

``"resampled"``
    errors built from the standardised residual row of ANOTHER row m of the same mask pattern,
    :math:`\epsilon_{nd} = \sigma_{nd}\, r_{md} / \sigma_{md}`: the dependence between entries and
    the heavy tails stay.

Reached over resampled-attainable near 1: the predicted variances spread as much as the errors do.
Well above 1: they spread too little. Well below: they are noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Num, Shaped

from sure_pyro.metrics import check
from sure_pyro.metrics.correlations import METHODS, MINIMUM_ROWS, correlate
from sure_pyro.metrics.patterns import rows_by_pattern

Draw = Callable[[np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class AttainableCorrelation:
    """An attainable correlation; ``float(result)`` is the value.

    Parameters
    ----------
    value : float
        Mean over the repetitions, within patterns and weighted by rows (or pooled).
    spread : float
        Standard deviation over the repetitions: how much ONE data set of this size scatters.
    large_sample : float or None
        The formula above, where there is one: Pearson with independent errors.
    rows, patterns : int
        How many rows and patterns it rests on.
    version : str
        ``"independent"`` or ``"resampled"``.
    """

    value: float
    spread: float
    large_sample: float | None
    rows: int
    patterns: int
    version: str

    def __float__(self) -> float:
        return self.value


def attainable_correlation(
    sigma: Num[np.ndarray, "_N _D"],
    residual: Num[np.ndarray, "_N _D"] | None = None,
    pattern: Shaped[np.ndarray, " _N"] | None = None,
    *,
    version: Literal["independent", "resampled"] = "resampled",
    method: str = "pearson",
    pooled: bool = False,
    minimum_rows: int = MINIMUM_ROWS,
    repetitions: int = 100,
    seed: int = 0,
) -> AttainableCorrelation:
    """Simulate the correlation that right variances would reach on these rows.

    Parameters
    ----------
    sigma : ndarray, shape (N, D)
        Predicted standard deviations of ONE target modality, above zero.
    residual : ndarray, shape (N, D), optional
        Truth minus reconstruction; needed by ``"resampled"`` only.
    pattern : ndarray of str or int, shape (N,), optional
        Residual rows are exchanged within a pattern only. None: all rows are one pattern.
    version : {"independent", "resampled"}
        How errors are made; see the module's docstring.
    pooled : bool
        Correlate all rows at once, to compare with `correlation`; otherwise within patterns,
        averaged by rows, to compare with `within_pattern_correlation`.
    minimum_rows : int
        Patterns with fewer rows are left out, as in `within_pattern_correlation`.

    Raises
    ------
    ValueError
        If shapes differ, a scale is not above zero, or no pattern has `minimum_rows` rows.
    """
    check.choice("version", version, ("independent", "resampled"))
    check.choice("method", method, METHODS)
    sigma, residual, pattern = _checked(sigma, residual, pattern, version)
    kept = _large_enough(pattern, check.at_least("minimum_rows", minimum_rows, 2))
    sigma2 = np.square(sigma[kept])
    z2 = None if residual is None else np.square(residual[kept] / sigma[kept])
    cells = [k for _, k in rows_by_pattern(pattern[kept])]
    draw = _independent(sigma2) if z2 is None else _resampled(sigma2, z2, cells)
    blocks = [np.arange(len(sigma2))] if pooled else cells
    value, spread = _simulate(sigma2.mean(1), draw, blocks, method, repetitions, seed)
    exact = version == "independent" and method == "pearson"
    formula = _by_rows(blocks, [_large_sample(sigma2[k]) for k in blocks]) if exact else None
    return AttainableCorrelation(value, spread, formula, len(sigma2), len(cells), version)


def attainable_by_pattern(
    sigma: Num[np.ndarray, "_N _D"],
    residual: Num[np.ndarray, "_N _D"],
    pattern: Shaped[np.ndarray, " _N"],
    *,
    version: Literal["independent", "resampled"] = "resampled",
    methods: Sequence[str] = ("pearson",),
    minimum_rows: int = MINIMUM_ROWS,
    repetitions: int = 50,
    seed: int = 0,
) -> dict[str, Float[np.ndarray, " N"]]:
    """Attainable correlation of every row's pattern, by method.

    Its mean over the rows is the value of `attainable_correlation`, and over some of the patterns
    theirs. NaN in patterns of fewer than `minimum_rows` rows.
    """
    sigma, known, pattern = _checked(sigma, residual, pattern, version)
    found = {method: np.full(len(sigma), np.nan) for method in methods}
    _, which, counts = np.unique(pattern, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts[which] >= minimum_rows)
    if not len(kept):
        return found
    s2, cells = np.square(sigma[kept]), [k for _, k in rows_by_pattern(pattern[kept])]
    z2 = None if known is None else np.square(known[kept] / sigma[kept])
    draw = _independent(s2) if z2 is None else _resampled(s2, z2, cells)
    u, rng = s2.mean(1), np.random.default_rng(seed)
    draws = [draw(rng) for _ in range(repetitions)]
    for method, values in found.items():
        for k in cells:
            values[kept[k]] = np.mean([correlate(u[k], e[k], method) for e in draws])
    return found


def _checked(
    sigma: np.ndarray, residual: np.ndarray | None, pattern: np.ndarray | None, version: str
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    if version == "resampled":
        if residual is None:
            raise ValueError(
                '`version="resampled"` needs `residual` (N, D), truth minus reconstruction; '
                'without it use `version="independent"`.'
            )
        sigma, residual = check.alike({"sigma": sigma, "residual": residual}, ndim=(2,))
    else:
        sigma, residual = check.numbers("sigma", sigma, (2,)), None
    pattern = np.zeros(len(sigma), dtype=np.int64) if pattern is None else pattern
    return check.positive("sigma", sigma), residual, check.keys("pattern", pattern, len(sigma))


def _large_enough(pattern: np.ndarray, minimum_rows: int) -> np.ndarray:
    _, which, counts = np.unique(pattern, return_inverse=True, return_counts=True)
    kept = counts[which] >= minimum_rows
    if not kept.any():
        raise ValueError(
            f"No pattern has `minimum_rows` = {minimum_rows} rows; the largest has {counts.max()}."
        )
    return kept


def _independent(sigma2: np.ndarray) -> Draw:
    """Draw e_n = mean_d sigma_nd^2 xi_nd^2 with xi ~ N(0, 1)."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        xi = rng.standard_normal(sigma2.shape)
        return np.einsum("nd,nd,nd->n", sigma2, xi, xi) / sigma2.shape[1]

    return draw


def _resampled(sigma2: np.ndarray, z2: np.ndarray, cells: list[np.ndarray]) -> Draw:
    """Draw e_n = mean_d sigma_nd^2 z_md^2 with m != n uniform in the pattern of n."""

    def draw(rng: np.random.Generator) -> np.ndarray:
        other = np.empty(len(sigma2), dtype=np.int64)
        for k in cells:
            # A step of 1..n-1 around the circle of rows never lands on the row itself.
            step = rng.integers(1, len(k), size=len(k))
            other[k] = k[(np.arange(len(k)) + step) % len(k)]
        return np.einsum("nd,nd->n", sigma2, z2[other]) / sigma2.shape[1]

    return draw


def _simulate(
    u: np.ndarray, draw: Draw, blocks: list[np.ndarray], method: str, repetitions: int, seed: int
) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    values = np.empty(check.at_least("repetitions", repetitions, 1))
    for r in range(repetitions):
        e = draw(rng)
        values[r] = _by_rows(blocks, [correlate(u[k], e[k], method) for k in blocks])
    return float(values.mean()), float(values.std())


def _by_rows(blocks: list[np.ndarray], values: list[float]) -> float:
    return float(np.average(values, weights=[len(k) for k in blocks]))


def _large_sample(sigma2: np.ndarray) -> float:
    D = sigma2.shape[1]
    between = sigma2.mean(1).var()
    noise = 2 * np.square(sigma2).sum(1).mean() / D**2  # Var(chi^2_1) = 2
    return float(np.sqrt(between / (between + noise)))
