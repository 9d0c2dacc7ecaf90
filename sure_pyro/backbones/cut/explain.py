"""Why a network says something else when it is cut, and what to name instead."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from sure_pyro.backbones.cut.cut import Cut
from sure_pyro.backbones.cut.passes import Recording
from sure_pyro.backbones.cut.plan import Place, same
from sure_pyro.backbones.cut.structure import tensors
from sure_pyro.backbones.cut.taps import Tap
from sure_pyro.data import Batch

TRIED = 30
Close = Callable[[Tensor, Tensor], bool]


def read_past(cut: Cut, rows: Batch, exchanged: Callable[[Batch, str], Batch], close: Close):
    """Modalities whose features still have an effect when their latents are given, with its size.

    Parameters
    ----------
    cut : Cut
    rows : Batch
        Complete.
    exchanged : callable
        ``exchanged(rows, name)`` gives the rows with other features of a modality.
    close : callable
        Whether two representations are equal.
    """
    plan = replace(cut.plan(rows[:2]), constants={})
    latents, whole = cut.encode(rows), cut.whole(rows)
    found = {}
    for name in cut.taps:
        fused = cut.fuse(latents, exchanged(rows, name), plan)
        if not close(fused, whole):
            found[name] = float((fused - whole).abs().max())
    return found


def better_places(
    cut: Cut, rows: Batch, name: str, exchanged: Callable[[Batch, str], Batch], close: Close
) -> list[str]:
    """Submodules whose output holds all that the network reads of a modality, and nothing else."""
    probe = Cut(cut.original, cut.taps, cut.call, cut.output, cut.until, cut.entering, True)
    outputs = _outputs(probe, rows)
    moved = {other: _outputs(probe, exchanged(rows, other)) for other in cut.taps}
    own = [
        place
        for place, output in outputs.items()
        if place[0] and [o for o in moved if not same(output, moved[o].get(place))] == [name]
        and len(list(tensors(output))) == 1
    ]  # fmt: skip
    places = []
    for path, number in reversed(own[-TRIED:]):
        tap = Tap(path, call=number)
        if tap.place != cut.taps[name].place and _holds_all(
            probe, rows, name, tap, exchanged, close
        ):
            places.append(path)
    return places


def _holds_all(probe: Cut, rows: Batch, name: str, tap: Tap, exchanged, close: Close) -> bool:
    trial = Cut(
        probe.original, {**probe.taps, name: tap}, probe.call, probe.output, probe.until,
        probe.entering,
    )  # fmt: skip
    try:
        return name not in read_past(trial, rows, exchanged, close)
    except Exception:  # not every output is a latent
        return False


def times_called(cut: Cut, rows: Batch, name: str) -> int:
    """Calls of a modality's submodule, on inputs that differ."""
    outputs = _outputs(
        Cut(cut.original, cut.taps, cut.call, cut.output, cut.until, cut.entering, True), rows
    )
    calls = [output for (path, _), output in outputs.items() if path == cut.taps[name].module]
    different: list = []
    for output in calls:
        if not any(same(output, other) for other in different):
            different.append(output)
    return len(different)


def _outputs(probe: Cut, rows: Batch) -> Mapping[Place, object]:
    run = Recording()
    with torch.no_grad():
        run.through(lambda: probe.call(probe.net, rows))
    return run.outputs


def explanation(cut: Cut, rows: Batch, gap: float, exchanged: Callable, close: Close) -> str:
    """Message for a cut that changes what the network says."""
    past = read_past(cut, rows, exchanged, close)
    if not past:
        return (
            f"Cut, the network says something else than whole (by up to {gap:.3g}), though no "
            "modality alone is read past the cut: it seems to read the padding of its inputs, or "
            "several modalities together. Write a `Backbone` with `encode` and `fuse`, or hand "
            "over padding as a field of the modality in the data."
        )
    name, size = max(past.items(), key=lambda item: item[1])
    path = cut.taps[name].module
    calls = times_called(cut, rows, name)
    cause = (
        f"{path!r} is called on {calls} different inputs in one pass, and only one call is the cut"
        if calls > 1
        else "a skip connection, a gate, a mask made of the input, or weights of "
        f"{path!r} that are used without calling it"
    )
    places = better_places(cut, rows, name, exchanged, close)
    instead = (
        f"Name {' or '.join(repr(p) for p in places[:3])} instead, whose output holds all of it."
        if places
        else f"No submodule's output holds all that is read of {name!r}: put {path!r} and what "
        "stands around it into a submodule of its own and name that, or write a `Backbone` with "
        "`encode` and `fuse`."
    )
    return (
        f"The network reads {name!r} past the cut at {path!r}: with the latent of {name!r} given, "
        f"its output still changes by {size:.3g} with the features of {name!r} ({cause}). {instead}"
    )
