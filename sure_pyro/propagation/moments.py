"""The result of every method of propagation: a mean, and a variance that knows its sources.

Independent sources add up (equation 8):

    s2_total[y_c] = sum_i s2_i[y_c] + s2_head[y_c] + s2_weights[y_c]

so one number per source and output is all there is to keep. Covariances *between* sources are
zero by the independence assumption: they are not stored, because they were never estimated.
What several sources do together and none of them does alone (``y = a * b``) is the separate
entry ``"interaction"``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sure_pyro.equations import total_variance

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

INTERACTION = "interaction"
TOTAL = "total"
WEIGHTS = "weights"
JOINT = "joint"  # of several sources that were not told apart
RESERVED = (INTERACTION, TOTAL, WEIGHTS, JOINT)


@dataclass(frozen=True, eq=False, repr=False)
class Moments:
    """Mean (B, C) and variance by source (B, C) of an output, in its units and their square.

    Parameters
    ----------
    mean : Tensor, shape (B, C)
    sources : dict of Tensor, each (B, C)
        Variance by source. All are non-negative except ``"interaction"``, a remainder.
    covariances : dict of Tensor, each (B, C, C), optional
        Covariance between the outputs, by source, when it was asked for.
    mean_error : Tensor, shape (B, C), optional
        Monte Carlo standard error of `mean`; None of a method without draws.
    errors : dict of Tensor, each (B, C), optional
        Monte Carlo standard errors of `sources`, and of the sum under ``"total"``.
    explained : Tensor, shape (B, C), optional
        Share of the variance of the draws that the linearised output explains (squared
        correlation, 1 for an affine function); known after Taylor-controlled draws.
    expected : Tensor, shape (B, K), optional
        Mean over the draws of a function of the output, where `sampling` was asked for it.
    rows_share_draws : bool
        Whether one draw served all rows (of weights), so that their errors go together.
    num_samples : int, optional
        How many draws the numbers rest on.
    method : str
        The method they came by, for tables and plots.
    """

    mean: Float[Tensor, "B C"]
    sources: Mapping[str, Float[Tensor, "B C"]] = field(default_factory=dict)
    covariances: Mapping[str, Float[Tensor, "B C C"]] | None = None
    mean_error: Float[Tensor, "B C"] | None = None
    errors: Mapping[str, Float[Tensor, "B C"]] = field(default_factory=dict)
    explained: Float[Tensor, "B C"] | None = None
    expected: Float[Tensor, "B K"] | None = None
    rows_share_draws: bool = False
    num_samples: int | None = None
    method: str = "taylor"

    @property
    def variance(self) -> Float[Tensor, "B C"]:
        """Total variance (B, C): the sum over the sources, equation 8."""
        return total_variance([torch.zeros_like(self.mean), *self.sources.values()])

    @property
    def sd(self) -> Float[Tensor, "B C"]:
        """Total standard deviation (B, C), in the units of the output."""
        return self.variance.clamp_min(0).sqrt()

    @property
    def share(self) -> dict[str, Float[Tensor, "B C"]]:
        """Share of the total by source (B, C); zero where the total is zero."""
        total = self.variance
        safe = torch.where(total > 0, total, torch.ones_like(total))
        return {name: value / safe for name, value in self.sources.items()}

    @property
    def covariance(self) -> Float[Tensor, "B C C"]:
        """Total covariance of the outputs (B, C, C).

        Raises
        ------
        ValueError
            If the method was not asked for it (``output_covariance=True``).
        """
        if self.covariances is None:
            raise ValueError(
                "These moments carry no covariance between outputs: call the method again with "
                "`output_covariance=True`."
            )
        zero = torch.zeros_like(self.mean).diag_embed()
        return total_variance([zero, *self.covariances.values()])

    def with_source(self, name: str, variance: Float[Tensor, "B C"] | None) -> Moments:
        """Add an independent source, uncorrelated between outputs; None adds nothing."""
        if variance is None:
            return self
        if name in self.sources:
            raise ValueError(f"There is a source '{name}' already: {list(self.sources)}.")
        covariances = self.covariances
        if covariances is not None:
            covariances = {**covariances, name: variance.diag_embed()}
        sources = {**self.sources, name: variance}
        return replace(self, sources=sources, covariances=covariances)

    def without_source(self, name: str) -> Moments:
        """Leave out a source, if it is there; standard errors of the total are left out with it."""
        kept = [other for other in self.sources if other != name]
        errors = {other: self.errors[other] for other in kept if other in self.errors}
        covariances = self.covariances and {other: self.covariances[other] for other in kept}
        sources = {other: self.sources[other] for other in kept}
        return replace(self, sources=sources, covariances=covariances, errors=errors)

    def affine(self, scale: float | Tensor = 1.0, shift: float | Tensor = 0.0) -> Moments:
        """Moments of ``scale * y + shift``: back to the units of the target.

        `scale` and `shift` are numbers or tensors of shape (C,).
        """
        a = torch.as_tensor(scale, dtype=self.mean.dtype, device=self.mean.device)
        a = a.expand(self.mean.shape[-1])  # (C,)
        outer = a[:, None] * a[None, :]  # (C, C)
        return replace(
            self,
            mean=self.mean * a + shift,
            sources={name: s2 * a.square() for name, s2 in self.sources.items()},
            covariances=self.covariances and {k: S * outer for k, S in self.covariances.items()},
            mean_error=None if self.mean_error is None else self.mean_error * a.abs(),
            errors={name: error * a.square() for name, error in self.errors.items()},
        )

    def each(self, change: Callable[[Tensor], Tensor]) -> Moments:
        """Apply `change` to every tensor: ``moments.each(Tensor.double)``."""

        def all_of(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {name: change(value) for name, value in values.items()}

        def if_any(value: Tensor | None) -> Tensor | None:
            return None if value is None else change(value)

        return replace(
            self,
            mean=change(self.mean),
            sources=all_of(self.sources),
            covariances=None if self.covariances is None else all_of(self.covariances),
            mean_error=if_any(self.mean_error),
            errors=all_of(self.errors),
            explained=if_any(self.explained),
            expected=if_any(self.expected),
        )

    def detach(self) -> Moments:
        """Cut from the graph that made them."""
        return self.each(Tensor.detach)

    def __getitem__(self, rows: slice | Int[Tensor, " b"] | Bool[Tensor, " B"]) -> Moments:
        """Moments of some of the rows (a slice, indices, or a boolean mask)."""
        return self.each(lambda value: value[rows])

    def __len__(self) -> int:
        return self.mean.shape[0]

    def __repr__(self) -> str:
        B, C = self.mean.shape
        total = self.variance.mean()
        parts = [
            f"{name} {(s2.mean() / total).nan_to_num():.0%}" for name, s2 in self.sources.items()
        ]
        draws = "" if self.num_samples is None else f", {self.num_samples} draws"
        return (
            f"Moments({self.method}{draws}: {B} rows x {C} outputs, "
            f"mean sd {self.sd.mean():.3g}; variance: {', '.join(parts) or 'none'})"
        )

    def to_dataset(self, coords: Mapping[str, Any] | None = None) -> xr.Dataset:
        """Convert to an ``xarray.Dataset`` with dimensions row, output and source.

        `coords` may name the rows and outputs: ``{"output": ["cat", "dog"]}``.
        """
        import xarray as xr

        names, by_source = list(self.sources), ("source", "row", "output")
        s2 = torch.stack([self.sources[n] for n in names]) if names else self.mean.new_zeros(0)
        arrays: dict[str, Any] = {
            "mean": (("row", "output"), _numpy(self.mean)),
            "variance": (("row", "output"), _numpy(self.variance)),
            "variance_by_source": (by_source, _numpy(s2.reshape(-1, *self.mean.shape))),
        }
        if self.covariances is not None:
            arrays["covariance"] = (("row", "output", "other_output"), _numpy(self.covariance))
        if names:
            arrays["share"] = (by_source, _numpy(torch.stack([*self.share.values()])))
        if names and all(name in self.errors for name in names):
            errors = torch.stack([self.errors[name] for name in names])
            arrays["error_by_source"] = (by_source, _numpy(errors))
        if self.explained is not None:
            arrays["explained"] = (("row", "output"), _numpy(self.explained))
        if self.mean_error is not None:
            arrays["mean_error"] = (("row", "output"), _numpy(self.mean_error))
        if TOTAL in self.errors:
            arrays["variance_error"] = (("row", "output"), _numpy(self.errors[TOTAL]))
        known = {"source": names, **(coords or {})}
        return xr.Dataset(arrays, coords=known, attrs={"method": self.method})

    def to_dataframe(self) -> pd.DataFrame:
        """Convert to a table with one line per row and output.

        Columns: mean, variance, sd, and ``variance[source]`` for every source.
        """
        import pandas as pd

        B, C = self.mean.shape
        index = pd.MultiIndex.from_product([range(B), range(C)], names=["row", "output"])
        columns = {"mean": self.mean, "variance": self.variance, "sd": self.sd}
        columns |= {f"variance[{name}]": s2 for name, s2 in self.sources.items()}
        return pd.DataFrame({k: _numpy(v).reshape(-1) for k, v in columns.items()}, index=index)


def _numpy(value: Tensor) -> Any:
    # NumPy has no bfloat16; a table is for reading, so half precision is widened.
    value = value.detach().cpu()
    return (value.float() if value.dtype in (torch.float16, torch.bfloat16) else value).numpy()
