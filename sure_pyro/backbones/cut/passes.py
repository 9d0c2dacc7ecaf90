"""One pass through a network with taps: what a tapped call does is the pass's to say.

A tap is a class put in front of a module's own, in a copy of the network (`shared_copy`). Outside a
pass it does nothing. The pass is found through a context variable, so that every thread has its
own and nothing is registered anywhere.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from torch import nn

from sure_pyro.backbones.cut.structure import mapped

CURRENT: ContextVar["Pass | None"] = ContextVar("pass through a tapped network", default=None)
PATH = "tapped_path"


class Tapped(nn.Module):
    """Mixin: the calls of a module go through the current pass."""

    untapped: type[nn.Module]  # the module's own class

    def __call__(self, *args, **kwargs):
        """Call the module, hooks and all, unless the pass knows better."""
        current = CURRENT.get()
        if current is None:
            return super().__call__(*args, **kwargs)
        run = super().__call__
        return current.called(self.__dict__[PATH], lambda: run(*args, **kwargs), args, kwargs)

    def __reduce_ex__(self, protocol):
        """A class made here is made again from the module's own, by pickle and deepcopy."""
        made: Any = super().__reduce_ex__(2)
        return _bare, (self.untapped,), *made[2:]


def tapped(cls: type) -> type:
    """Class of a tapped module: still a subclass of the module's own, under its name."""
    metaclass: Any = type(cls)
    return metaclass(cls.__name__, (Tapped, cls), {"__module__": cls.__module__, "untapped": cls})


def _bare(cls: type) -> nn.Module:
    made: Any = tapped(cls)
    return made.__new__(made)


class _Enough(BaseException):
    """Ends a pass early. No network catches it: it is no `Exception`."""


class Pass:
    """What happens at the calls of tapped modules; by default, what would happen anyway."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def called(self, path: str, run: Callable[[], Any], args: tuple, kwargs: dict) -> Any:
        """Answer a call of the module at `path`."""
        number = self.calls[path]
        self.calls[path] += 1
        return self.answer(path, number, run, args, kwargs)

    def answer(self, path: str, number: int, run: Callable, args: tuple, kwargs: dict) -> Any:
        """Answer the call of this number (from 0) of the module at `path`."""
        return run()

    def through(self, network: Callable[[], Any]) -> Any:
        """Run the network in this pass; its output, or None if it ended early."""
        token = CURRENT.set(self)
        try:
            return network()
        except _Enough:
            return None
        finally:
            CURRENT.reset(token)


class Encoding(Pass):
    """Collect what the wanted calls give, and stop when all of them have been made.

    Attributes
    ----------
    found : dict
        Outputs by ``(path, number of the call)``.
    """

    def __init__(self, wanted: set[tuple[str, int]]):
        super().__init__()
        self.wanted = wanted
        self.found: dict[tuple[str, int], Any] = {}

    def answer(self, path, number, run, args, kwargs):
        """Run, and keep the output of a wanted call."""
        output = run()
        if (path, number) in self.wanted:
            # What follows may change it in place (an activation, say): a copy is kept.
            self.found[path, number] = mapped(lambda _, x: x.clone(), output)
            if len(self.found) == len(self.wanted):
                raise _Enough
        return output


class Fusing(Pass):
    """Answer tapped calls with given outputs, so that only what lies behind them is computed.

    Parameters
    ----------
    given : mapping
        Outputs by ``(path, number of the call)``.
    constant : callable, optional
        ``constant(path, number)`` is the output of a call that has no effect behind the taps, or
        None if there is none known: the module is then run.
    until : str, optional
        Path of a module whose first call ends the pass.
    entering : bool
        Keep what enters that module instead of what leaves it.
    """

    def __init__(
        self,
        given: Mapping[tuple[str, int], Any],
        constant: Callable[[str, int], Any] | None = None,
        until: str | None = None,
        entering: bool = False,
    ):
        super().__init__()
        self.given, self.constant = given, constant
        self.until, self.entering = until, entering
        self.result: Any = None

    def answer(self, path, number, run, args, kwargs):
        """Give the given, else the constant, else run."""
        if (path, number) in self.given:
            return self.given[path, number]
        if path == self.until and self.entering:
            self.result = (*args, *kwargs.values())[0] if args or kwargs else None
            raise _Enough
        known = None if self.constant is None else self.constant(path, number)
        output = run() if known is None else known
        if path == self.until:
            self.result = output
            raise _Enough
        return output


class Recording(Pass):
    """Run everything, and write down every call: its output, and the calls around it.

    Attributes
    ----------
    outputs : dict
        Outputs by ``(path, number)``, in the order in which the calls ended.
    around : dict
        By ``(path, number)``: the calls that were open when it was made, outermost first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[tuple[str, int], Any] = {}
        self.around: dict[tuple[str, int], tuple[tuple[str, int], ...]] = {}
        self._open: list[tuple[str, int]] = []

    def answer(self, path, number, run, args, kwargs):
        """Run, and write down a copy of the output: what follows may change it in place."""
        self.around[path, number] = tuple(self._open)
        self._open.append((path, number))
        output = run()
        self._open.pop()
        self.outputs[path, number] = mapped(lambda _, x: x.clone(), output)
        return output
