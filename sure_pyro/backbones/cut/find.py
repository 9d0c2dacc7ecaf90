"""Where to cut a network that nobody has cut: found by what its submodules give.

The latent of a modality is the last output that changes with this modality alone and holds all that
the network reads of it. Both are tried on rows whose features are exchanged.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from sure_pyro.backbones.cut.cut import Cut
from sure_pyro.backbones.cut.passes import Recording
from sure_pyro.backbones.cut.plan import Place, Plan, Rows, forms_of, repeats_of, same
from sure_pyro.backbones.cut.structure import part_at, tensors
from sure_pyro.backbones.cut.taps import Tap, to_latent
from sure_pyro.data import Batch

Close = Callable[[Tensor, Tensor], bool]
Exchanged = Callable[[Batch, str], Batch]


@dataclass(frozen=True)
class Observed:
    """What every call of a network gives.

    Attributes
    ----------
    two, three : dict
        Outputs by place, for two rows, and for three of which the last is the first again.
    moved : dict of dict
        By modality: outputs for two rows with its features exchanged.
    around : dict
        By place: the calls that were open when it was made.
    whole : Tensor
        Representation of the two rows.
    """

    two: dict
    three: dict
    moved: Mapping[str, dict]
    around: Mapping[Place, tuple[Place, ...]]
    whole: Tensor

    def own(self, name: str) -> list[Place]:
        """Calls whose output changes with one modality alone, in the order of their ends."""
        return [place for place in self.two if place[0] and self._moves_with(place) == [name]]

    def _moves_with(self, place: Place) -> list[str]:
        return [
            name
            for name, outputs in self.moved.items()
            if place not in outputs or not same(self.two[place], outputs[place])
        ]


def find_taps(
    probe: Cut, rows: Batch, modalities: list[str], exchanged: Exchanged, close: Close
) -> dict[str, Tap]:
    """Find places to cut at.

    Parameters
    ----------
    probe : Cut
        Of the network, without taps of its own, and everywhere.
    rows : Batch
        Two complete rows that differ.
    modalities : list of str
        Those that are looked for.
    exchanged, close : callable
        As for `sure_pyro.backbones.cut.explain.read_past`.

    Raises
    ------
    ValueError
        If no submodule's output will do for a modality; the message lists those that come near.
    """
    seen = observed(probe, rows, exchanged)
    return {name: _latest(probe, seen, rows, name, exchanged, close) for name in modalities}


@torch.no_grad()
def observed(probe: Cut, rows: Batch, exchanged: Exchanged) -> Observed:
    """Run a network on two rows as they are, with a third, and exchanged."""
    two, around = _recorded(probe, rows)
    return Observed(
        two,
        _recorded(probe, rows[[0, 1, 0]])[0],
        {name: _recorded(probe, exchanged(rows, name))[0] for name in rows.modalities},
        around,
        probe.whole(rows),
    )


@torch.no_grad()
def places(
    probe: Cut, seen: Observed, rows: Batch, name: str, exchanged: Exchanged, close: Close
) -> Iterator[Tap]:
    """Where a modality may be cut, the latest place first; few are outermost, they come first."""
    own = seen.own(name)
    outermost = _outermost(seen, own)
    inner = [place for place in own if place not in outermost]
    for place in (*reversed(outermost), *reversed(inner)):
        tap = _tap(seen, rows, name, place, close)
        if tap is not None and _holds_all(probe, seen, rows, name, tap, exchanged, close):
            yield tap


def _outermost(seen: Observed, own: list[Place]) -> list[Place]:
    return [place for place in own if not set(seen.around[place]) & set(own)]


def _latest(probe: Cut, seen: Observed, rows: Batch, name: str, exchanged, close: Close) -> Tap:
    tap = next(places(probe, seen, rows, name, exchanged, close), None)
    if tap is not None:
        return tap
    near = [path for path, _ in _outermost(seen, seen.own(name))]
    raise ValueError(
        f"No submodule of {type(probe.original).__name__} was found whose output is a latent of "
        f"{name!r} and holds all that is read of it. "
        + (
            f"Depending on {name!r} alone are {near}: name one of them or of what is inside, "
            f"`latents={{{name!r}: ...}}`, and `check_backbone` says what is read past it."
            if near
            else f"None depends on {name!r} alone: do the two rows differ, and is {name!r} read?"
        )
    )


def _tap(seen: Observed, rows: Batch, name: str, place: Place, close: Close) -> Tap | None:
    """Tap of an output that is one tensor, a latent by its form, with the tokens of its input."""
    found = list(tensors(seen.two[place]))
    of_rows = Rows.compared(seen.two[place], seen.three[place]) if place in seen.three else None
    if len(found) != 1 or of_rows is None or not found[0][1].is_floating_point():
        return None
    at, x = found[0]
    axis, each = of_rows.axes.get(at, (0, 0))
    if each != 1 or (axis, x.ndim) not in [(0, 2), (0, 3), (0, 4), (1, 3)]:
        return None
    exists = rows.padding.get(name)
    if exists is not None and x.ndim > 2 and (x.ndim == 4 or x.shape[1 - axis] != exists.shape[1]):
        return None
    # A latent is the row's own, wherever the row stands in the batch.
    first, _, again = part_at(seen.three[place], at).unbind(axis)
    return (
        Tap(place[0], output=at or None, call=place[1], axis=axis) if close(first, again) else None
    )


def _holds_all(probe: Cut, seen: Observed, rows: Batch, name, tap: Tap, exchanged, close) -> bool:
    taps = {name: tap}
    plan = Plan(forms_of(taps, seen.two, seen.three), repeats_of(taps, seen.two))
    z = to_latent(name, tap, seen.two[tap.place])
    try:
        fused = probe.tapped_at(taps).fuse({name: z}, exchanged(rows, name), plan)
    except (ValueError, RuntimeError):  # not every output can be handed back
        return False
    return close(fused, seen.whole)


def _recorded(probe: Cut, rows: Batch) -> tuple[dict, dict]:
    run = Recording()
    run.through(lambda: probe.call(probe.net, rows))
    return run.outputs, run.around
