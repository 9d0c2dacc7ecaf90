"""Why a network says something else when it is cut, and what to name instead."""

from collections.abc import Callable, Mapping
from itertools import islice

import torch

from sure_pyro.backbones.cut.cut import Cut
from sure_pyro.backbones.cut.find import Close, observed, places
from sure_pyro.backbones.cut.passes import Recording
from sure_pyro.backbones.cut.plan import Place, same
from sure_pyro.backbones.stand_in import stand_in
from sure_pyro.data import Batch

NAMED = 3  # places that are proposed instead


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
    plan = cut.plan(rows[:2], constants=False)
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
    """Submodules, in code, whose output holds all that is read of a modality and nothing else."""
    probe = Cut(cut.original, {}, cut.call, cut.output, cut.until, cut.entering, True)
    two = stand_in(rows)  # without padding, whose mask is not the latent's to hold
    found = places(probe, observed(probe, two, exchanged), two, name, exchanged, close)
    others = (tap for tap in found if tap.place != cut.taps[name].place)
    return [tap.spelled() if tap.axis else repr(tap.module) for tap in islice(others, NAMED)]


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
    better = better_places(cut, rows, name, exchanged, close)
    instead = (
        f"Name {' or '.join(better)} instead, whose output holds all of it."
        if better
        else f"No submodule's output holds all that is read of {name!r}: put {path!r} and what "
        "stands around it into a submodule of its own and name that, or write a `Backbone` with "
        "`encode` and `fuse`."
    )
    return (
        f"The network reads {name!r} past the cut at {path!r}: with the latent of {name!r} given, "
        f"its output still changes by {size:.3g} with the features of {name!r} ({cause}). {instead}"
    )
