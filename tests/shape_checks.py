"""Checks of shapes and types at run time, in a part of the calls.

The import hook of jaxtyping decorates every function of the package, and to check every call takes
more than half of the time of the suite. A function that was right in its first hundred calls, with
whatever shapes the tests have for it, is looked at now and then after them: in its first `FIRST`
calls of a process and in one of `EVERY` later ones. A function within a function is left as it is:
its checks would be compiled anew whenever the outer one is called. ``SURE_PYRO_CHECK_ALL=1`` checks
everything, as CI does.
"""

import functools
import inspect
import os
from types import FunctionType

import jaxtyping

FIRST, EVERY = 100, 20
_in_every_call = jaxtyping.jaxtyped


def install() -> None:
    """Let the hook of jaxtyping check in a part of the calls; before the package is imported."""
    if os.environ.get("SURE_PYRO_CHECK_ALL") != "1":
        jaxtyping.jaxtyped = _sampled


def _sampled(*, typechecker):
    """In the place of ``jaxtyping.jaxtyped(typechecker=...)``."""
    in_every_call = _in_every_call(typechecker=typechecker)

    def decorate(function):
        if not inspect.isfunction(function):
            return in_every_call(function)
        if "<locals>" in function.__qualname__:
            return function
        return now_and_then(in_every_call(function), function)

    return decorate


def now_and_then(checked, plain):
    """Call one function first and sometimes, and else another one."""
    calls = 0

    def call(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls <= FIRST or calls % EVERY == 0:
            return checked(*args, **kwargs)
        return plain(*args, **kwargs)

    # Its frame counts as one of the package: warnings are about the first line outside of it.
    names = {"FIRST": FIRST, "EVERY": EVERY, "__name__": plain.__module__}
    inside = FunctionType(call.__code__, names, closure=call.__closure__)
    return functools.wraps(plain)(inside)
