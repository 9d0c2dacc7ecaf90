"""A network cut at its taps: encode up to them, fuse from them on, or run it whole."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from sure_pyro.backbones.cut.call import Call, chosen_output
from sure_pyro.backbones.cut.passes import PATH, Encoding, Fusing, Recording, Tapped, tapped
from sure_pyro.backbones.cut.plan import Place, Plan, Rows, candidates, forms_of, repeats_of
from sure_pyro.backbones.cut.share import UNREGISTERED, shared_copy
from sure_pyro.backbones.cut.taps import Tap, from_latent, to_latent
from sure_pyro.backbones.stand_in import repeated
from sure_pyro.data import Batch
from sure_pyro.data.fields import each_field

MANY = 64  # calls before the taps that are tried one by one
IN_PLACE = "single memory location"  # torch's words where a view of one row is changed in place


class Cut:
    """A tapped copy of a network, and the passes through it.

    Parameters
    ----------
    net : nn.Module
        Shares its tensors with the copy, and is left as it is.
    taps : dict of Tap
        By modality.
    call : callable
        ``call(net, batch)``.
    output : optional
        What of the network's output, or of the representation, is meant; see `chosen_output`.
    until : str, optional
        Path of the submodule that ends the fusion.
    entering : bool
        The representation enters that submodule instead of leaving it.
    """

    def __init__(
        self,
        net: nn.Module,
        taps: Mapping[str, Tap],
        call: Call,
        output: Any = None,
        until: str | None = None,
        entering: bool = False,
        everywhere: bool = False,
    ):
        self.original, self.taps, self.call, self.output = net, dict(taps), call, output
        self.until, self.entering = until, entering
        self.net = tapped_copy(net, None if everywhere else {*self._paths()})

    def _paths(self) -> set[str]:
        ends = {self.until} if self.until else set()
        return {tap.module for tap in self.taps.values()} | ends

    def encode(self, batch: Batch) -> dict[str, Tensor]:
        """Latents of all modalities; the pass ends at the last of them."""
        own = batch._with(features=_clones(batch))  # a network may change its inputs in place
        run = Encoding({tap.place for tap in self.taps.values()})
        run.through(lambda: self.call(self.net, own))
        for name, tap in self.taps.items():
            if tap.place not in run.found:
                raise ValueError(
                    f"The submodule {tap.module!r} of modality {name!r} was not called by the "
                    "network on these rows, though it was on others: a network that skips parts "
                    "for some inputs can not be cut there."
                )
        return {n: to_latent(n, tap, run.found[tap.place]) for n, tap in self.taps.items()}

    def fuse(
        self,
        latents: Mapping[str, Tensor],
        batch: Batch,
        plan: Plan,
        row: int = 0,
    ) -> Tensor:
        """Representation from given latents, whatever the features of `batch`.

        Calls without effect give what they gave for one of two rows; which, has no effect either.
        """
        B = next(iter(latents.values())).shape[0]

        def returned(name: str) -> Any:
            rows = plan.forms[name]
            return from_latent(
                self.taps[name], latents[name], rows.output, lambda at, x: rows.spread(at, x, 0, B)
            )

        given = {tap.place: returned(name) for name, tap in self.taps.items()}
        given |= {place: returned(name) for place, name in plan.repeats.items()}
        return self._to_representation(Fusing(given, plan.constant(B, row), *self._end()), batch)

    def whole(self, batch: Batch) -> Tensor:
        """Representation as the network makes it, uncut."""
        own = batch._with(features=_clones(batch))
        return self._to_representation(Fusing({}, None, *self._end()), own)

    def says(self, batch: Batch) -> Tensor:
        """What the whole network returns, ``(B, C)``."""
        own = batch._with(features=_clones(batch))
        return chosen_output(self.call(self.net, own), None if self.until else self.output)

    def _end(self) -> tuple[str | None, bool]:
        return self.until, self.entering

    def _to_representation(self, run: Fusing, batch: Batch) -> Tensor:
        value = run.through(lambda: self.call(self.net, batch))
        if self.until is None:
            return chosen_output(value, self.output)
        if run.calls[self.until] == 0:
            raise ValueError(f"The submodule {self.until!r} was not called by the network.")
        return chosen_output(run.result, self.output, f"The submodule {self.until!r}")

    @torch.no_grad()
    def plan(self, stand: Batch, constants: bool = True) -> Plan:
        """Learn from two rows how to fuse without running what lies before the taps.

        Without `constants`, all of the network runs that is not tapped.
        """
        probe = Cut(
            self.original, self.taps, self.call, self.output, self.until, self.entering, True
        )
        two, three = _recorded(probe, stand), _recorded(probe, stand[[0, 1, 0]])
        plan = Plan(
            forms_of(self.taps, two.outputs, three.outputs), repeats_of(self.taps, two.outputs)
        )
        if not constants:
            return plan
        found = {
            place: Rows.compared(two.outputs[place], three.outputs.get(place))
            for place in candidates(self.taps, two)
        }
        known = {place: rows for place, rows in found.items() if rows is not None}
        for copied in (False, True):
            try:
                plan = replace(plan, copied=copied)
                return replace(plan, constants=_without_effect(probe, plan, known, stand))
            except RuntimeError as error:
                if IN_PLACE not in str(error):
                    raise
        return plan

    def prepared(self, plan: Plan) -> "Cut":
        """The same cut, tapped where the plan knows an answer, too."""
        paths = self._paths() | {path for path, _ in plan.constants}
        return self._with(net=tapped_copy(self.net, paths))

    def tapped_at(self, taps: Mapping[str, Tap]) -> "Cut":
        """The same cut at other places, for one that is tapped everywhere."""
        return self._with(taps=dict(taps))

    def _with(self, **changes: Any) -> "Cut":
        made = object.__new__(Cut)
        made.__dict__.update(self.__dict__, **changes)
        return made


def tapped_copy(net: nn.Module, paths: set[str] | None) -> nn.Module:
    """Frozen copy with taps at the paths, or everywhere; `net` may have taps already."""

    def class_of(path: str, module: nn.Module) -> type:
        own = module.untapped if isinstance(module, Tapped) else type(module)
        known = not path.startswith(UNREGISTERED)
        return tapped(own) if known and (paths is None or path in paths) else own

    copy = shared_copy(net, frozen=True, class_of=class_of)
    for path, module in copy.named_modules(remove_duplicate=False):
        if isinstance(module, Tapped):
            module.__dict__[PATH] = path
    return copy


def _recorded(probe: Cut, stand: Batch) -> Recording:
    run = Recording()
    own = stand._with(features=_clones(stand))
    run.through(lambda: probe.call(probe.net, own))
    return run


def _without_effect(probe: Cut, plan: Plan, known: dict[Place, Rows], stand: Batch):
    """Calls whose output makes no difference to the fusion: exchanged for that of another row."""
    latents = {
        name: to_latent(name, tap, plan.forms[name].output) for name, tap in probe.taps.items()
    }
    rows = torch.tensor([0, 1, 0, 1, 1])  # another number than any axis is likely to have
    latents = {name: z[rows] for name, z in latents.items()}
    batch = repeated(stand, len(rows), {}, plan.copied)
    expected = probe.fuse(latents, batch, plan)

    def no_effect(constants: dict[Place, Rows]) -> bool:
        try:
            batch = repeated(stand, len(rows), {}, plan.copied)
            fused = probe.fuse(latents, batch, replace(plan, constants=constants), row=1)
        except Exception as error:
            if IN_PLACE in str(error):
                raise
            return False  # a network may not get along with rows that are all alike
        return torch.equal(fused, expected)

    if len(known) <= MANY and not no_effect(known):
        known = {place: rows for place, rows in known.items() if no_effect({place: rows})}
    return known if no_effect(known) else {}


def _clones(batch: Batch) -> dict:
    return {name: each_field(x, Tensor.clone) for name, x in batch.features.items()}
