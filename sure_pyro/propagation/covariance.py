r"""What is known about the spread of one latent: a diagonal, a full, or a low-rank covariance.

A method needs only three things of a covariance :math:`\Sigma = L L^T` of a flattened latent
of D entries, and never the matrix itself when it is structured:

* ``quadratic``: :math:`J \Sigma J^T` for each gradient J (Taylor, equation 7),
* ``between``: :math:`J \Sigma J^T` for C gradients at once (covariance of the outputs),
* ``root``: :math:`L \varepsilon`, which turns R independent unit variables into a deviation.

Sources are independent of each other; entries *within* one source may be correlated.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from sure_pyro.equations import taylor_variance


class Covariance(ABC):
    """Covariance of one latent with B rows and D flattened entries, R columns in its root."""

    columns: int

    @abstractmethod
    def quadratic(self, J: Float[Tensor, "K B D"]) -> Float[Tensor, "K B"]:
        """J Sigma J^T of each of K gradients per row."""

    @abstractmethod
    def between(self, J: Float[Tensor, "B C D"]) -> Float[Tensor, "B C C"]:
        """J Sigma J^T of C gradients per row."""

    @abstractmethod
    def root(self, noise: Float[Tensor, "*S B R"]) -> Float[Tensor, "*S B D"]:
        """L noise: deviations with this covariance from independent unit variables."""

    @abstractmethod
    def magnitude(self) -> Float[Tensor, " B"]:
        """Size of the uncertainty by row: zero where there is none, and only there."""

    @abstractmethod
    def rows(self, index: Tensor) -> Covariance:
        """Covariance of some of the rows."""


@dataclass(frozen=True, eq=False)
class Diagonal(Covariance):
    """Independent entries: `variance` (B, D)."""

    variance: Float[Tensor, "B D"]

    @property
    def columns(self) -> int:  # type: ignore[override]
        """R = D."""
        return self.variance.shape[1]

    def quadratic(self, J: Float[Tensor, "K B D"]) -> Float[Tensor, "K B"]:
        """sum_k J_k^2 sigma_k^2, equation 7."""
        return taylor_variance(J, self.variance)

    def between(self, J: Float[Tensor, "B C D"]) -> Float[Tensor, "B C C"]:
        """J diag(sigma^2) J^T."""
        return (J * self.variance[:, None]) @ J.mT

    def root(self, noise: Float[Tensor, "*S B R"]) -> Float[Tensor, "*S B D"]:
        """Sigma_k noise_k."""
        return safe_sqrt(self.variance) * noise

    def magnitude(self) -> Float[Tensor, " B"]:
        """max_k sigma_k^2."""
        return self.variance.amax(-1)

    def rows(self, index: Tensor) -> Diagonal:
        """Take rows."""
        return Diagonal(self.variance.index_select(0, index))


@dataclass(frozen=True, eq=False)
class FullCovariance(Covariance):
    """Any covariance between the entries of one latent: `matrix` (B, D, D), symmetric, >= 0.

    The entries are those of the latent flattened from its second axis on.
    """

    matrix: Float[Tensor, "B D D"]

    @property
    def columns(self) -> int:  # type: ignore[override]
        """R = D."""
        return self.matrix.shape[1]

    @cached_property
    def _root(self) -> Tensor:
        # Cholesky would fail on a matrix that is zero in recorded entries; the symmetric
        # eigenvectors do not, at the price of gradients (sampling refuses `create_graph`).
        values, vectors = torch.linalg.eigh(self.matrix.detach())
        return vectors * values.clamp_min(0).sqrt()[:, None, :]

    def quadratic(self, J: Float[Tensor, "K B D"]) -> Float[Tensor, "K B"]:
        """J Sigma J^T."""
        return torch.einsum("kbd,bde,kbe->kb", J, self.matrix, J)

    def between(self, J: Float[Tensor, "B C D"]) -> Float[Tensor, "B C C"]:
        """J Sigma J^T."""
        return J @ self.matrix @ J.mT

    def root(self, noise: Float[Tensor, "*S B R"]) -> Float[Tensor, "*S B D"]:
        """L noise."""
        return torch.einsum("bdr,...br->...bd", self._root, noise)

    def magnitude(self) -> Float[Tensor, " B"]:
        """max_k Sigma_kk."""
        return self.matrix.diagonal(dim1=-2, dim2=-1).amax(-1)

    def rows(self, index: Tensor) -> FullCovariance:
        """Take rows."""
        return FullCovariance(self.matrix[index])


@dataclass(frozen=True, eq=False)
class LowRankCovariance(Covariance):
    """Low rank plus diagonal: ``factor @ factor^T + diag(variance)``.

    `factor` has shape (B, *event, R') and `variance` (B, *event), both like the latent; the
    matrix of D x D entries is never made.
    """

    factor: Float[Tensor, "B *event R"]
    variance: Float[Tensor, " B *entry"]  # of the same shape: `as_covariance` says where it is not

    @property
    def columns(self) -> int:  # type: ignore[override]
        """R = R' + D."""
        return self.factor.shape[-1] + self.variance.shape[1]

    def quadratic(self, J: Float[Tensor, "K B D"]) -> Float[Tensor, "K B"]:
        """|F^T J|^2 + sum_k J_k^2 sigma_k^2."""
        low = torch.einsum("bdr,kbd->kbr", self.factor, J)
        return low.square().sum(-1) + taylor_variance(J, self.variance)

    def between(self, J: Float[Tensor, "B C D"]) -> Float[Tensor, "B C C"]:
        """(J F)(J F)^T + J diag(sigma^2) J^T."""
        low = J @ self.factor  # (B, C, R')
        return low @ low.mT + (J * self.variance[:, None]) @ J.mT

    def root(self, noise: Float[Tensor, "*S B R"]) -> Float[Tensor, "*S B D"]:
        """F noise_low + sigma noise_diagonal."""
        low, diagonal = noise.split([self.factor.shape[-1], self.variance.shape[1]], -1)
        shared = torch.einsum("bdr,...br->...bd", self.factor, low)
        return shared + safe_sqrt(self.variance) * diagonal

    def magnitude(self) -> Float[Tensor, " B"]:
        """Size of the factor and of the diagonal: the square of a small factor would be zero."""
        return self.factor.abs().flatten(1).sum(-1) + self.variance.amax(-1)

    def rows(self, index: Tensor) -> LowRankCovariance:
        """Take rows."""
        return LowRankCovariance(self.factor[index], self.variance[index])


def safe_sqrt(value: Tensor) -> Tensor:
    """Square root whose gradient at zero is zero: a recorded entry must not make NaN."""
    positive = value > 0
    return torch.where(positive, value, torch.ones_like(value)).sqrt() * positive


def as_covariance(name: str, value: Tensor | Covariance, mean: Tensor) -> Covariance:
    """Check what came for latent `name` against its `mean` (B, *event), and flatten it.

    Raises
    ------
    TypeError
        If it is neither a tensor nor a covariance, or a full one in half precision.
    ValueError
        If shapes, dtypes or devices differ, or it is negative, NaN or not symmetric.
    """
    B, D = mean.shape[0], mean.shape[1:].numel()
    if isinstance(value, Tensor):
        _like(name, "variance", value, mean.shape, mean)
        _non_negative(name, value)
        return Diagonal(value.reshape(B, D))
    if isinstance(value, FullCovariance):
        if mean.dtype not in (torch.float32, torch.float64):
            raise TypeError(
                f"The full covariance of '{name}' needs float32 or float64, not {mean.dtype}: "
                "convert it and the mean by `.float()`."
            )
        _like(name, "covariance", value.matrix, torch.Size((B, D, D)), mean)
        _positive_semidefinite(name, value.matrix)
        return FullCovariance(value.matrix)  # another object, whose root belongs to this call
    if isinstance(value, LowRankCovariance):
        _like(name, "diagonal variance", value.variance, mean.shape, mean)
        _like(name, "factor", value.factor, mean.shape + value.factor.shape[-1:], mean)
        _non_negative(name, value.variance)
        if not value.factor.isfinite().all():
            raise ValueError(f"The factor of '{name}' has entries that are not finite.")
        return LowRankCovariance(value.factor.reshape(B, D, -1), value.variance.reshape(B, D))
    raise TypeError(
        f"`variance['{name}']` must be a Tensor (B, *event), FullCovariance or "
        f"LowRankCovariance; got {type(value).__name__}."
    )


def _like(name: str, what: str, value: Tensor, shape: torch.Size, mean: Tensor) -> None:
    if value.shape != shape:
        raise ValueError(
            f"The {what} of '{name}' needs shape {tuple(shape)}, for a mean of shape "
            f"{tuple(mean.shape)}; got {tuple(value.shape)}."
        )
    if value.dtype != mean.dtype or value.device != mean.device:
        raise ValueError(
            f"The {what} of '{name}' is {value.dtype} on {value.device}, its mean is "
            f"{mean.dtype} on {mean.device}: move one of them with `.to(...)`."
        )


def _non_negative(name: str, value: Tensor) -> None:
    lowest, highest = (end.item() for end in value.detach().aminmax())
    if not (lowest >= 0 and highest < math.inf):  # written so that NaN fails too
        bad = ~((value >= 0) & value.isfinite()).reshape(len(value), -1).all(-1)
        raise ValueError(
            f"The variance of '{name}' must be finite and non-negative; it is not in rows "
            f"{row_list(bad)} (minimum {value.min():.3g}). If this is a log-variance, pass "
            "`log_variance.exp()`; if it is a standard deviation, pass its square."
        )


def _positive_semidefinite(name: str, matrix: Tensor) -> None:
    size = matrix.abs().amax((-2, -1))
    tolerance = 10 * matrix.shape[-1] * torch.finfo(matrix.dtype).eps * size
    asymmetry = (matrix - matrix.mT).abs().amax((-2, -1))
    bad = ~(asymmetry <= tolerance)
    if not bad.any():
        bad = torch.linalg.eigvalsh(matrix.detach())[:, 0] < -tolerance
    if bad.any():
        raise ValueError(
            f"The covariance of '{name}' must be finite, symmetric and positive semi-definite; "
            f"it is not in rows {row_list(bad)}."
        )


def row_list(bad: Tensor) -> str:
    """Row numbers for an error message, at most ten of them."""
    rows = bad.nonzero().flatten().tolist()
    return str(rows) if len(rows) <= 10 else f"{rows[:10]} and {len(rows) - 10} more"
