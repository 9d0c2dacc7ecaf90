"""What a method works with: call the function, at the mean or elsewhere, on some of the rows.

A method sees a function of a dictionary of latents. A plain Tensor becomes the dictionary
``{"input": ...}``; a latent without a variance is known exactly and only carried along, as is what
else the function takes of each row (`Known`); a function with noise of its own returns a pair,
whose second part is that noise's variance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sure_pyro.propagation.covariance import Covariance, row_list
from sure_pyro.propagation.moments import WEIGHTS
from sure_pyro.propagation.replica import replica

Function: TypeAlias = Callable[..., Tensor | tuple[Tensor, Tensor]]
Mean: TypeAlias = Tensor | Mapping[str, Tensor]
Variance: TypeAlias = Tensor | Covariance | Mapping[str, Tensor | Covariance]
Expect: TypeAlias = Callable[[Tensor, Tensor | None], Tensor]
Known: TypeAlias = Any
"""What a function takes beside the latents: Tensors (B, ...) in dictionaries or tuples, or None."""
Output: TypeAlias = tuple[Tensor, Tensor | None]

Weights: TypeAlias = Callable[[int], dict[str, Tensor]]

SINGLE = "input"


@dataclass(frozen=True, eq=False)
class Inputs:
    """A function with the mean of each latent and the covariance of the uncertain ones."""

    fn: Function
    latents: dict[str, Tensor]
    covariances: dict[str, Covariance]
    single: bool
    dtype: torch.dtype  # of the uncertain latents, and of the result
    weights: Weights | None = None  # draws the parameters of `fn`, a module
    known: Known = None  # the second argument of `fn`, if there is one

    def __len__(self) -> int:
        return next(iter(self.latents.values())).shape[0]

    @property
    def device(self) -> torch.device:
        """Where the latents are."""
        return next(iter(self.latents.values())).device

    @cached_property
    def everything(self) -> Tensor:
        """Indices (B,) of all rows: taking these copies nothing."""
        return torch.arange(len(self), device=self.device)

    @cached_property
    def _uncertain(self) -> Tensor:
        """Whether each source is uncertain in each row (S, B), the weights last."""
        sizes = [covariance.magnitude() for covariance in self.covariances.values()]
        if self.weights is not None:  # they are in every row
            sizes.append(torch.ones(len(self), dtype=self.dtype, device=self.device))
        if not sizes:
            return torch.zeros(0, len(self), dtype=torch.bool, device=self.device)
        return torch.stack(sizes) > 0

    @property
    def active(self) -> dict[str, Tensor]:
        """Rows (B,) in which each source is uncertain."""
        names = [*self.covariances, *([] if self.weights is None else [WEIGHTS])]
        return dict(zip(names, self._uncertain, strict=True))

    def any_uncertain(self) -> Tensor:
        """Whether any source is uncertain in each row (B,)."""
        return self._uncertain.any(0)

    def num_uncertain(self) -> Tensor:
        """How many sources are uncertain in each row (B,)."""
        return self._uncertain.sum(0)

    def rows(self, index: Tensor) -> Inputs:
        """Take some of the rows, in order; sources certain in all of these only ride along."""
        everything = index is self.everything
        somewhere = (self._uncertain if everything else self._uncertain[:, index]).any(1).tolist()
        some = zip(self.covariances.items(), somewhere, strict=False)  # not the weights
        covariances = {name: covariance for (name, covariance), active in some if active}
        if everything:
            return replace(self, covariances=covariances)
        return replace(
            self,
            latents=_take(self.latents, index),
            known=each_tensor(self.known, lambda x: x.index_select(0, index)),
            covariances={name: covariance.rows(index) for name, covariance in covariances.items()},
        )

    def evaluate_mean(self, index: Tensor | None = None) -> Output:
        """Call the function at the mean, of all rows or of some."""
        if index is None:
            return self.evaluate(self.latents)
        known = each_tensor(self.known, lambda x: x.index_select(0, index))
        return self.evaluate(_take(self.latents, index), known=known)

    def evaluate(
        self,
        latents: dict[str, Tensor],
        parameters: dict[str, Tensor] | None = None,
        known: Known = None,
    ) -> Output:
        """Call the function; return its (mean, noise variance or None), each (B, C).

        `known` is that of the inputs unless `latents` are other rows.
        """
        rows = next(iter(latents.values())).shape[0]
        known = self.known if known is None else known
        latent = latents[SINGLE] if self.single else latents
        arguments = (latent,) if known is None else (latent, known)
        if parameters is None:
            result = self.fn(*arguments)
        else:
            self._check_parameters(parameters)
            result = functional_call(self._replica, parameters, arguments)
        y, noise = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
        _check_output("output", y, rows)
        # Under autocast the function may answer in half precision: sums are made in the
        # precision of the latents.
        if noise is None:
            return y.to(self.dtype), None
        _check_noise(noise, y)
        return y.to(self.dtype), noise.to(self.dtype)

    @cached_property
    def _replica(self) -> nn.Module:
        """Module for drawn parameters: `fn` itself is never changed, not even for a moment."""
        return replica(cast(nn.Module, self.fn))

    @cached_property
    def _parameters(self) -> frozenset[str]:
        module: Any = self.fn
        return frozenset(dict([*module.named_parameters(), *module.named_buffers()]))

    def _check_parameters(self, parameters: dict[str, Tensor]) -> None:
        unknown = [name for name in parameters if name not in self._parameters]
        if unknown:  # `functional_call` would ignore them
            raise ValueError(
                f"`weights` draws {unknown}, but the parameters of `fn` are "
                f"{sorted(self._parameters)}: rename them (a guide may have put a prefix)."
            )


def each_tensor(known: Known, change: Callable[[Tensor], Tensor]) -> Known:
    """Apply `change` to every Tensor of what a function takes beside the latents.

    Raises
    ------
    TypeError
        If it holds something else than Tensors.
    """
    match known:
        case None:
            return None
        case Tensor():
            return change(known)
        case Mapping():
            return {name: each_tensor(part, change) for name, part in known.items()}
        case tuple():
            parts = [each_tensor(part, change) for part in known]
            return type(known)(*parts) if hasattr(known, "_fields") else tuple(parts)
    raise TypeError(
        "`known` must hold Tensors (B, ...), in dictionaries or tuples; got "
        f"{type(known).__name__}."
    )


def _take(latents: dict[str, Tensor], index: Tensor) -> dict[str, Tensor]:
    return {name: z.index_select(0, index) for name, z in latents.items()}


def _check_output(what: str, y: object, rows: int) -> None:
    if not isinstance(y, Tensor):
        raise TypeError(
            f"`fn` must return a Tensor (B, C), or a pair (mean, variance) of two; its {what} "
            f"is {type(y).__name__}."
        )
    if y.ndim != 2 or y.shape[0] != rows or not y.shape[1]:
        raise ValueError(
            f"`fn` was given {rows} rows, so its {what} must have shape ({rows}, C); got "
            f"{tuple(y.shape)}. A single output needs its own axis: `y.unsqueeze(-1)`."
        )


def _check_noise(noise: Tensor, y: Tensor) -> None:
    _check_output("noise variance", noise, len(y))
    if noise.shape != y.shape:
        raise ValueError(
            "`fn` returned a mean and a noise variance of different shapes, "
            f"{tuple(y.shape)} and {tuple(noise.shape)}; both must be (B, C)."
        )
    if not (noise.detach() >= 0).all():
        raise ValueError(
            "`fn` returned a noise variance that is negative or NaN (minimum "
            f"{float(noise.min()):.3g}). If it is a log-variance, return `log_variance.exp()`."
        )


def check_finite(what: str, value: Tensor) -> None:
    """Refuse a result that is not finite, with the rows.

    Raises
    ------
    ValueError
        If `value` (B, ...) has NaN or infinity.
    """
    value = value.detach()
    if math.isfinite(value.sum().item()):  # the good case, in one pass over the values
        return
    bad = ~value.reshape(len(value), -1).isfinite().all(-1)
    if bad.any():  # else only their sum is too large
        raise ValueError(f"The {what} is not finite in rows {row_list(bad)}.")
