"""Copy a tree of modules, not its tensors: a network of our own that shares the user's weights.

What is done to the copy (evaluation mode, frozen parameters, taps, other weights for a while) is
invisible to the original and to every other copy, so that many threads and many models can stand on
one network. Copied are the modules, and what refers to them: bound methods, partial functions and
closures that a module carries as attributes (a ``forward`` replaced on the instance, old names of
it), and plain lists or dictionaries of modules. All else, tensors first of all, is shared; but
scripted modules can not be opened, and a frozen copy has them with weights of their own.
"""

import copy
import functools
import types
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

CONTAINERS = (dict, list, tuple, set, OrderedDict)
UNREGISTERED = "?"  # path of a module that only an attribute refers to
COMPILED = "_orig_mod"  # under this name a compiled module keeps what it was compiled from


def shared_copy(
    root: nn.Module,
    *,
    frozen: bool = False,
    tensors: Mapping[str, Tensor] | None = None,
    class_of: Callable[[str, nn.Module], type] | None = None,
) -> nn.Module:
    """Copy modules and share tensors.

    Parameters
    ----------
    root : nn.Module
        Left as it is. Compiled parts are taken as what they were compiled from.
    frozen : bool
        Put every copied module into evaluation mode, and let no parameter ask for a gradient; the
        original keeps its own modes and flags.
    tensors : mapping of str to Tensor, optional
        Stand in for the parameters and buffers of these names; gradients flow into them.
    class_of : callable, optional
        ``class_of(path, module)`` gives the class of each copy; that of the module by default. A
        path whose class differs gets a copy of its own, even if the module has other names.

    Returns
    -------
    nn.Module

    Raises
    ------
    ValueError
        If `tensors` names something that the module does not have.
    """
    copying = _Copy(root, frozen, tensors or {}, class_of)
    made = copying.module("", root)
    copying.fill()
    return made


def plain_path(path: str) -> str:
    """Path of a submodule as if nothing had been compiled."""
    return ".".join(part for part in path.split(".") if part != COMPILED)


class Opaque(nn.Module):
    """A module around one whose class can not be changed.

    Parameters
    ----------
    inner : nn.Module
    """

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, *args, **kwargs):
        """Call what is inside."""
        return self.inner(*args, **kwargs)


class _Copy:
    def __init__(self, root, frozen, tensors, class_of):
        self.frozen = frozen
        self.class_of = class_of or (lambda path, module: type(module))
        self.copies: dict[int, Any] = {}  # by the identity of what was copied
        self.kept: list[Any] = []  # keeps identities from being used again meanwhile
        self.unfilled: list[dict[str, Any]] = []
        self.own = self._ancestors_of_changes(root)
        self.tensors = dict(_by_identity(root, tensors))

    def _ancestors_of_changes(self, root: nn.Module) -> set[str]:
        """Paths that lead to a module of another class: shared modules part ways there."""
        own = set()
        for path, module in root.named_modules(remove_duplicate=False):
            if self.class_of(path, module) is not type(module):
                parts = plain_path(path).split(".")
                own |= {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
        return own

    def module(self, path: str, module: nn.Module) -> nn.Module:
        """Copy of a module under one of its names."""
        while COMPILED in module._modules:
            module = cast(nn.Module, module._modules[COMPILED])
        if isinstance(module, torch.jit.ScriptModule):  # it can be called, not opened
            module = self.scripted(module)
            if path not in self.own:
                return module
            module = Opaque(module)
        known = self.copies.get(id(module))
        if known is not None and path not in self.own:
            return known
        made = object.__new__(self.class_of(path, module))
        if known is None:
            self._remember(module, made)
        state = dict(module.__dict__)
        state.pop("_compiled_call_impl", None)  # compiled in place
        made.__dict__ = state
        prefix = path + "." if path else ""
        state["_modules"] = type(module._modules)(
            (name, None if child is None else self.module(prefix + name, child))
            for name, child in module._modules.items()
        )
        parameters: dict[str, Any] = {n: self.tensor(p) for n, p in module._parameters.items()}
        state["_parameters"] = type(module._parameters)(parameters)
        if self.frozen:
            state["training"] = False
        self.unfilled.append(state)
        return made

    def scripted(self, module: torch.jit.ScriptModule) -> nn.Module:
        """A scripted module, or, frozen, a copy with weights of its own: modes are kept in it."""
        asks = any(p.requires_grad for p in module.parameters())
        if not self.frozen or not (asks or module.training):
            return module
        if id(module) not in self.copies:
            with torch.no_grad():  # or its weights would be results of those of the original
                made = copy.deepcopy(module).eval()
            for p in made.parameters():
                p.requires_grad_(False)
            self._remember(module, made)
        return self.copies[id(module)]

    def fill(self) -> None:
        """Copy the attributes, now that every registered module has its copy."""
        while self.unfilled:  # an attribute may hold a module that is registered nowhere
            state = self.unfilled.pop()
            for name, value in state.items():
                if name not in ("_modules", "_parameters"):
                    state[name] = self.value(value)

    def tensor(self, x: Tensor | None) -> Tensor | None:
        """The tensor itself, what stands in for it, or a frozen view of a parameter."""
        if x is None or id(x) in self.tensors:
            return self.tensors.get(id(x))
        # A subclass (quantised, distributed) knows itself how it stores numbers: it is left alone.
        if not self.frozen or type(x) is not nn.Parameter:
            return x
        if id(x) not in self.copies:
            self._remember(x, nn.Parameter(x.detach(), requires_grad=False))
        return self.copies[id(x)]

    def value(self, value: Any) -> Any:
        """An attribute, with what refers to modules referring to their copies."""
        if isinstance(value, nn.Module):
            return self.module(UNREGISTERED, value)
        if isinstance(value, Tensor):
            return self.tensor(value)
        if isinstance(value, types.MethodType | functools.partial | types.FunctionType):
            return self.function(value)
        if type(value) in CONTAINERS and value:
            return self.container(value)
        return value

    def container(self, value: Any) -> Any:
        """A container of the same kind, or the very same where nothing in it was copied."""
        if id(value) in self.copies:
            return self.copies[id(value)]
        self._remember(value, value)  # a container that holds itself ends here
        if isinstance(value, dict):
            made = type(value)((key, self.value(part)) for key, part in value.items())
            changed = any(made[key] is not part for key, part in value.items())
        else:
            parts = [self.value(part) for part in value]
            changed = any(new is not old for new, old in zip(parts, value, strict=True))
            made = type(value)(parts)
        # Hooks come and go at the original: their dictionaries are copied whatever they hold.
        if changed or isinstance(value, dict | set):
            self.copies[id(value)] = made
        return self.copies[id(value)]

    def function(self, fn: Any) -> Any:
        """A bound method, partial function or closure over the copies."""
        if isinstance(fn, types.MethodType):
            owner = self.value(fn.__self__)
            return fn if owner is fn.__self__ else types.MethodType(fn.__func__, owner)
        if isinstance(fn, functools.partial):
            made = functools.partial(
                self.value(fn.func),
                *[self.value(a) for a in fn.args],
                **{k: self.value(a) for k, a in fn.keywords.items()},
            )
            made.__dict__.update(fn.__dict__)
            return made
        return self._closure(fn)

    def _closure(self, fn: types.FunctionType) -> types.FunctionType:
        if id(fn) in self.copies:
            return self.copies[id(fn)]
        self._remember(fn, fn)
        cells = [self._cell(cell) for cell in fn.__closure__ or ()]
        if all(new is old for new, old in zip(cells, fn.__closure__ or (), strict=True)):
            return fn
        made = types.FunctionType(
            fn.__code__, fn.__globals__, fn.__name__, fn.__defaults__, tuple(cells)
        )
        made.__kwdefaults__ = fn.__kwdefaults__
        made.__dict__.update(fn.__dict__)
        self.copies[id(fn)] = made
        return made

    def _cell(self, cell: types.CellType) -> types.CellType:
        """Follow modules and functions only: a list in a closure is the user's own record."""
        try:
            content = cell.cell_contents
        except ValueError:  # not filled yet
            return cell
        if not isinstance(
            content, nn.Module | types.MethodType | functools.partial | types.FunctionType
        ):
            return cell
        followed = self.value(content)
        return cell if followed is content else types.CellType(followed)

    def _remember(self, original: Any, made: Any) -> None:
        self.copies[id(original)] = made
        self.kept.append(original)


def _by_identity(root: nn.Module, tensors: Mapping[str, Tensor]):
    """Stand-ins by the identity of the tensors that they replace, so that ties stay tied."""
    own: dict[str, Tensor] = dict(root.named_parameters(remove_duplicate=False))
    own.update(root.named_buffers(remove_duplicate=False))
    unknown = [name for name in tensors if name not in own]
    if unknown:
        raise ValueError(f"`tensors` names {unknown}; {type(root).__name__} has {list(own)}.")
    for name, tensor in tensors.items():
        yield id(own[name]), tensor
