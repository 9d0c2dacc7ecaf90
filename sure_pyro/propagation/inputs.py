"""The public door of every road: check what came, and call the function on some of the rows.

A road sees a function of a dictionary of latents. A plain Tensor becomes the dictionary
``{"input": ...}``; a latent without a variance is known exactly and only carried along; a
function with noise of its own returns a pair, whose second part is that noise's variance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from sure_pyro.propagation.covariance import Covariance, as_covariance, row_list
from sure_pyro.propagation.moments import INTERACTION, TOTAL

Function: TypeAlias = Callable[[Any], Tensor | tuple[Tensor, Tensor]]
Mean: TypeAlias = Tensor | Mapping[str, Tensor]
Variance: TypeAlias = Tensor | Covariance | Mapping[str, Tensor | Covariance]
Output: TypeAlias = tuple[Tensor, Tensor | None]

Weights: TypeAlias = Callable[[int], dict[str, Tensor]]

SINGLE, WEIGHTS = "input", "weights"


@dataclass(frozen=True, eq=False)
class Inputs:
    """A function with the mean of each latent and the covariance of the uncertain ones."""

    fn: Function
    latents: dict[str, Tensor]
    covariances: dict[str, Covariance]
    single: bool
    dtype: torch.dtype  # of the uncertain latents, and of the result
    weights: Weights | None = None  # draws the parameters of `fn`, a module

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
        sizes = [covariance.largest() for covariance in self.covariances.values()]
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
            covariances={name: covariance.rows(index) for name, covariance in covariances.items()},
        )

    def evaluate_mean(self, index: Tensor | None = None) -> Output:
        """Call the function at the mean, of all rows or of some."""
        if index is None:
            return self.evaluate(self.latents)
        return self.evaluate(_take(self.latents, index))

    def evaluate(
        self, latents: dict[str, Tensor], parameters: dict[str, Tensor] | None = None
    ) -> Output:
        """Call the function; return its (mean, noise variance or None), each (B, C)."""
        rows = next(iter(latents.values())).shape[0]
        argument = latents[SINGLE] if self.single else latents
        if parameters is None:
            result = self.fn(argument)
        else:
            result = functional_call(self.fn, parameters, (argument,))  # type: ignore[arg-type]
        y, noise = result if isinstance(result, tuple) else (result, None)
        _check_output("output", y, rows)
        # Under autocast the function may answer in half precision: sums are made in the
        # precision of the latents.
        if noise is None:
            return y.to(self.dtype), None
        _check_output("noise variance", noise, rows)
        if noise.shape != y.shape:
            raise ValueError(
                "`fn` returned a mean and a noise variance of different shapes, "
                f"{tuple(y.shape)} and {tuple(noise.shape)}; both must be (B, C)."
            )
        return y.to(self.dtype), noise.to(self.dtype)


def prepare(fn: Function, mean: Mean, variance: Variance, reserved: tuple[str, ...]) -> Inputs:
    """Check the arguments of a road and bring them into one form.

    Raises
    ------
    TypeError
        If `fn` cannot be called, or latents are not tensors.
    ValueError
        If names, shapes, dtypes or values do not fit; the message says which and what to do.
    """
    if not callable(fn):
        raise TypeError(f"`fn` must be callable; got {type(fn).__name__}.")
    single = isinstance(mean, Tensor)
    latents = {SINGLE: mean} if isinstance(mean, Tensor) else dict(mean)
    spread = dict(variance) if isinstance(variance, Mapping) else {SINGLE: variance}
    _check_names(latents, spread, single, isinstance(variance, Mapping), reserved)
    latents = {name: _own(z) for name, z in latents.items()}
    _check_latents(latents, spread)
    covariances = {name: as_covariance(name, spread[name], latents[name]) for name in spread}
    return Inputs(fn, latents, covariances, single, _dtype(latents, spread))


def _dtype(latents: dict[str, Tensor], spread: Mapping[str, object]) -> torch.dtype:
    names = list(spread) or [name for name, z in latents.items() if z.is_floating_point()]
    dtypes = {name: latents[name].dtype for name in names}
    if len(set(dtypes.values())) > 1 and spread:
        raise ValueError(f"The uncertain latents need one dtype; got {dtypes}.")
    return next(iter(dtypes.values()), torch.get_default_dtype())


def _take(latents: dict[str, Tensor], index: Tensor) -> dict[str, Tensor]:
    return {name: z.index_select(0, index) for name, z in latents.items()}


def _own(value: Tensor) -> Tensor:
    # A tensor made under `torch.inference_mode` can not enter autograd: copy it out.
    if isinstance(value, Tensor) and value.is_inference():
        with torch.inference_mode(False):
            return value.clone()
    return value


def _check_names(
    latents: dict[str, Tensor],
    spread: Mapping[str, object],
    single: bool,
    named: bool,
    reserved: tuple[str, ...],
) -> None:
    if single is named:
        raise TypeError(
            "`mean` and `variance` must have the same form: two tensors, or two dictionaries "
            f"by name; got a {'Tensor' if single else 'dictionary'} and a "
            f"{'dictionary' if named else 'Tensor'}."
        )
    if not latents:
        raise ValueError("`mean` is an empty dictionary: nothing to propagate.")
    unknown = [name for name in spread if name not in latents]
    if unknown:
        raise ValueError(f"`variance` names {unknown}, but `mean` has only {list(latents)}.")
    taken = [name for name in spread if name in (*reserved, INTERACTION, TOTAL, WEIGHTS)]
    if taken:
        raise ValueError(
            f"The source names {taken} are taken by the result itself: rename these inputs "
            "(the function's own noise is named by the keyword `head`)."
        )


def _check_latents(latents: dict[str, Tensor], spread: Mapping[str, object]) -> None:
    for name, z in latents.items():
        if not isinstance(z, Tensor):
            raise TypeError(f"`mean['{name}']` must be a Tensor; got {type(z).__name__}.")
    lengths = {name: z.shape[0] if z.ndim else None for name, z in latents.items()}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        raise ValueError(
            f"All of `mean` need the same number of rows B as first axis; got {lengths}."
        )
    if not next(iter(lengths.values())):
        raise ValueError("`mean` has no rows (B = 0): nothing to propagate.")
    for name in spread:
        z = latents[name]
        if not z.is_floating_point():
            raise TypeError(
                f"`mean['{name}']` has a variance, so it must be floating; got {z.dtype}."
            )
        check_finite(f"value of `mean['{name}']`", z)


def _check_output(what: str, y: object, rows: int) -> None:
    if not isinstance(y, Tensor):
        raise TypeError(
            f"`fn` must return a Tensor (B, C), or a pair (mean, variance) of two; its {what} "
            f"is {type(y).__name__}."
        )
    if y.ndim != 2 or y.shape[0] != rows:
        raise ValueError(
            f"`fn` was given {rows} rows, so its {what} must have shape ({rows}, C); got "
            f"{tuple(y.shape)}. A single output needs its own axis: `y.unsqueeze(-1)`."
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


def check_differentiable(inputs: Inputs, y: Tensor) -> None:
    """Refuse a function that cuts the graph: its variance would silently be zero.

    Raises
    ------
    ValueError
        If `y` carries no gradient although it moves when the uncertain latents move.
    """
    if y.requires_grad or not inputs.covariances:
        return
    moved = {name: z + 1 if name in inputs.covariances else z for name, z in inputs.latents.items()}
    with torch.no_grad():
        elsewhere, _ = inputs.evaluate(moved)
    if not torch.equal(elsewhere, y):
        raise ValueError(
            f"`fn` depends on {list(inputs.covariances)}, but its output carries no gradient: "
            "it runs under `torch.no_grad()` or detaches. Remove that, or use `sampling`, "
            "which needs no gradient."
        )


@contextmanager
def differentiation(twice: bool):
    """Record gradients whatever the caller's mode; with `twice`, gradients of gradients.

    Fused attention has no second derivative, so then its plain form is used.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if twice:
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield
