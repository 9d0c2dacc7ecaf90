"""What is learnt about a network from a few rows before it is cut.

Which later calls of a tapped submodule repeat the tapped one, what a tapped call returns beside the
latent, and which submodules have no effect behind the taps: their output is then a constant, and
what lies before the taps runs once per row, however many latents are drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sure_pyro.backbones.cut.structure import mapped, tensors
from sure_pyro.backbones.cut.taps import Tap

Place = tuple[str, int]


@dataclass(frozen=True)
class Rows:
    """Output of a call, and along which axis of each of its tensors the rows run.

    Attributes
    ----------
    output
        Of two rows.
    axes : dict
        By the keys of a tensor: axis, and how many entries along it belong to one row.
    """

    output: Any
    axes: dict[tuple, tuple[int, int]]

    @classmethod
    def compared(cls, two: Any, three: Any) -> "Rows | None":
        """Learn the axes from the same call on two and on three rows; None if they differ in form.

        An axis is one of rows if its length grows in proportion: merged rows and steps do, too.
        """
        others, axes = dict(tensors(three)), {}
        for at, x in tensors(two):
            y = others.get(at)
            if y is None or y.ndim != x.ndim:
                return None
            differ = [d for d in range(x.ndim) if x.shape[d] != y.shape[d]]
            if not differ:
                continue
            (axis, *more) = differ
            if more or 3 * x.shape[axis] != 2 * y.shape[axis]:
                return None
            axes[at] = (axis, x.shape[axis] // 2)
        return cls(two, axes)

    def spread(self, at: tuple, x: Tensor, row: int, num_rows: int) -> Tensor:
        """One of the two rows, so many times over, as a view where that is possible."""
        if at not in self.axes:
            return x
        axis, each = self.axes[at]
        one = x.narrow(axis, row * each, each).unsqueeze(axis)
        shape = list(one.shape)
        shape[axis] = num_rows
        return one.expand(shape).flatten(axis, axis + 1)

    def repeated(self, row: int, num_rows: int, copied: bool) -> Any:
        """The whole output for so many rows, all like one of the two."""

        def rows(at: tuple, x: Tensor) -> Tensor:
            x = self.spread(at, x, row, num_rows)
            return x.clone() if copied else x

        return mapped(rows, self.output)


@dataclass(frozen=True)
class Plan:
    """How to fuse.

    Attributes
    ----------
    forms : dict of Rows
        What each tapped call returns, by modality.
    repeats : dict
        Later calls that give what the tapped call of a modality gave.
    constants : dict of Rows
        Outputs of calls that have no effect behind the taps.
    copied : bool
        Inputs and constants are tensors of their own: the network changes them in place.
    """

    forms: dict[str, Rows]
    repeats: dict[Place, str] = field(default_factory=dict)
    constants: dict[Place, Rows] = field(default_factory=dict)
    copied: bool = False

    def constant(self, num_rows: int, row: int = 0):
        """Answer `Fusing` asks for: the output of a call without effect, for so many rows."""

        def known(path: str, number: int) -> Any:
            rows = self.constants.get((path, number))
            return None if rows is None else rows.repeated(row, num_rows, self.copied)

        return known


def forms_of(taps: Mapping[str, Tap], two: dict, three: dict) -> dict[str, Rows]:
    """What the tapped calls return.

    Raises
    ------
    ValueError
        If the network does not make such a call, or rows are not its first axis.
    """
    forms = {}
    for name, tap in taps.items():
        if tap.place not in two:
            calls = sum(path == tap.module for path, _ in two)
            raise ValueError(
                f"The submodule {tap.module!r} of modality {name!r} is called {calls} times in "
                f"one pass of the network, so its call {tap.place[1]} gives no latent. Name a "
                "submodule that is called (not one inside a scripted module, or one whose weights "
                "or methods are used without a call)."
            )
        rows = Rows.compared(two[tap.place], three[tap.place])
        at = tap.keys(two[tap.place])
        if rows is None or rows.axes.get(at) != (tap.axis, 1):
            (shape,) = [tuple(x.shape) for keys, x in tensors(two[tap.place]) if keys == at]
            axis, each = (-1, 0) if rows is None else rows.axes.get(at, (-1, 0))
            raise ValueError(
                f"The latent of {name!r} (submodule {tap.module!r}) must have the rows of the "
                f"batch along axis {tap.axis}; for 2 rows it has the shape {shape}. "
                + (
                    f"They run along axis {axis}: `{tap.spelled(axis=axis)}`."
                    if each == 1
                    else "Name another submodule."
                )
            )
        forms[name] = rows
    return forms


def repeats_of(taps: Mapping[str, Tap], outputs: dict) -> dict[Place, str]:
    """Later calls of tapped submodules with the very output of the tapped call."""
    tapped = {tap.place for tap in taps.values()}
    return {
        place: name
        for name, tap in taps.items()
        for place, output in outputs.items()
        if place[0] == tap.module and place not in tapped and same(output, outputs[tap.place])
    }


def same(a: Any, b: Any) -> bool:
    """Whether two outputs are equal, tensor by tensor."""
    x, y = dict(tensors(a)), dict(tensors(b))
    return x.keys() == y.keys() and all(torch.equal(x[at], y[at]) for at in x)


def candidates(taps: Mapping[str, Tap], recording) -> list[Place]:
    """Outermost calls that end before the last tapped one, apart from what leads to a tap."""
    paths = {tap.module for tap in taps.values()}
    leading = {""} | {p for path in paths for p in _ancestors(path)}
    order = list(recording.outputs)
    last = max(order.index(tap.place) for tap in taps.values())
    return [
        place
        for place in order[:last]
        if place[0] not in leading | paths
        and all(around[0] in leading for around in recording.around[place])
    ]


def _ancestors(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]
