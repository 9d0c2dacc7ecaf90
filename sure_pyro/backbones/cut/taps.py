"""Where a network is cut: the output of a named submodule, and how it is read as a latent.

A latent is a vector ``(B, D)`` or a sequence of tokens ``(B, L, D)``. A map ``(B, D, height,
width)``, as convolutions give it, is read as the sequence of its ``height * width`` places.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Bool
from torch import Tensor, nn

from sure_pyro.backbones.cut.share import plain_path
from sure_pyro.backbones.cut.structure import (
    by_index,
    children,
    described,
    mapped,
    part_at,
    tensors,
)
from sure_pyro.data import Batch


@dataclass(frozen=True)
class Tap:
    """A place to cut a network at.

    Attributes
    ----------
    module : str
        Name of the submodule, as in ``net.named_modules()``.
    output : str, int or tuple of them, optional
        Key or index of the latent in what the submodule returns, where that is no tensor: a key of
        a dictionary, a field of a dataclass or named tuple, an index of a tuple; a tuple of them
        for what is nested.
    call : int, optional
        Number of the call, from 0, where the submodule is called more than once in one pass. By
        default the first; modalities that name one submodule take its calls in their order.
    axis : int
        Of the rows in what the submodule returns: 1 where steps come first, ``(L, B, D)``, as in
        recurrent networks without ``batch_first=True``, and for their last states.
    exists : callable, optional
        ``exists(batch)`` gives bool ``(B, L)``: which tokens of the latent are no padding. Needed
        where inputs are padded and the latent has another number of tokens than the input.
    """

    module: str
    output: Any = None
    call: int | None = None
    axis: int = 0
    exists: Callable[[Batch], Bool[Tensor, "B L"]] | None = None

    @property
    def place(self) -> tuple[str, int]:
        """Path and number of the tapped call."""
        return self.module, self.call or 0

    def spelled(self, **changes: Any) -> str:
        """Say in code how to make this tap, with changes, as it is written by hand."""
        given = {"output": self.output, "call": self.call or None, "axis": self.axis} | changes
        options = [
            f"{k}={v!r}" for k, v in given.items() if v is not None and (k, v) != ("axis", 0)
        ]
        return f"Tap({', '.join([repr(self.module), *options])})"

    def keys(self, found: Any) -> tuple:
        """Keys that lead to the latent in the output of the submodule."""
        if self.output is not None:
            at = self.output if isinstance(self.output, tuple) else (self.output,)
            try:
                at = by_index(found, at)
                part = part_at(found, at)
            except (KeyError, TypeError):
                part = None
            if isinstance(part, Tensor):
                return at
            raise ValueError(
                f"`output={self.output!r}` of submodule {self.module!r} leads to no tensor; it "
                f"returns {described(found)}."
            )
        inside = [at for at, _ in tensors(found)]
        if len(inside) == 1:
            return inside[0]
        raise ValueError(
            f"The submodule {self.module!r} returns {described(found)}. Say which tensor is the "
            f"latent: `Tap({self.module!r}, output={_first_key(found)!r})`, or name a submodule "
            "that returns one tensor."
        )


def _first_key(found: Any) -> Any:
    return next((key for key, _ in children(found)), 0)


def as_taps(latents: Mapping[str, "str | Tap"], net: nn.Module) -> dict[str, Tap]:
    """Check the places to cut at, and number the calls of a submodule that is named twice.

    Raises
    ------
    TypeError, ValueError
        If the places are no mapping, one is no text or `Tap`, or no submodule of the network has
        its name.
    """
    if not isinstance(latents, Mapping):
        raise TypeError(
            "`latents` must be a mapping of modalities to submodules, such as "
            f'{{"image": "image_proj"}}; got {latents!r}.'
        )
    taps: dict[str, Tap] = {}
    for name, place in latents.items():
        if not isinstance(place, str | Tap):
            raise TypeError(
                f"`latents[{name!r}]` must be the name of a submodule or a Tap; got {place!r}."
            )
        tap = place if isinstance(place, Tap) else Tap(place)
        tap = replace(tap, module=checked_path(net, tap.module))
        if tap.call is None:
            before = [t for t in taps.values() if t.module == tap.module]
            tap = replace(tap, call=len(before))
        taps[name] = tap
    return taps


def checked_path(net: nn.Module, path: str) -> str:
    """Name of a submodule that exists, as if nothing had been compiled.

    Raises
    ------
    ValueError
        If there is none; the message lists those that are.
    """
    known = {plain_path(p): module for p, module in net.named_modules(remove_duplicate=False) if p}
    known.pop("", None)
    found = known.get(plain_path(path))
    if found is None:
        names = [name for name in known if name]
        raise ValueError(f"{path!r} is no submodule of {type(net).__name__}; it has {names}.")
    return plain_path(path)


def to_latent(name: str, tap: Tap, found: Any) -> Tensor:
    """Latent ``(B, D)`` or ``(B, L, D)`` in what a tapped call returned."""
    z = part_at(found, tap.keys(found))
    z = z.movedim(tap.axis, 0) if tap.axis < z.ndim else z
    if not z.is_floating_point() or z.ndim not in (2, 3, 4):
        raise ValueError(
            f"The latent of {name!r} (submodule {tap.module!r}) must be floating, of shape (B, D), "
            f"(B, L, D), or (B, D, height, width); got {tuple(z.shape)}, {z.dtype}. Name a "
            "submodule with such an output."
        )
    return z.flatten(2).transpose(1, 2) if z.ndim == 4 else z


def from_latent(tap: Tap, z: Tensor, like: Any, spread: Callable[[tuple, Tensor], Tensor]) -> Any:
    """What the tapped call is to return for a latent.

    Parameters
    ----------
    tap : Tap
    z : Tensor, shape ``(B, D)`` or ``(B, L, D)``
    like
        What the call returned once.
    spread : callable
        Makes B rows of the tensors beside the latent, by their keys.
    """
    at = tap.keys(like)
    form = part_at(like, at)
    if form.ndim == 4:
        z = z.transpose(1, 2).unflatten(2, form.movedim(tap.axis, 0).shape[2:])
    z = z.movedim(0, tap.axis)
    # A copy: what follows may change it in place, and the latent is the caller's.
    z = z.to(form.dtype, copy=True) if z.dtype != form.dtype else z.clone()
    return mapped(lambda keys, x: z if keys == at else spread(keys, x), like)
