"""How a batch reaches a network, and which part of what it returns is its output."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from sure_pyro.backbones.cut.structure import by_index, children, described, part_at, tensors
from sure_pyro.data import Batch

Call = Callable[[nn.Module, Batch], Any]
PADDING = "padding"


class ByKeyword:
    """Call a network with the features of a batch as keywords.

    Parameters
    ----------
    names : sequence of str
        Of the arguments: modalities, or fields of modalities that consist of several tensors.
    padding : bool
        Also hand over ``padding={modality: exists}``, for a network that asks for it.
    """

    def __init__(self, names, padding: bool):
        self.names, self.padding = frozenset(names), padding

    def __call__(self, net: nn.Module, batch: Batch) -> Any:
        """Run the network."""
        arguments = {n: x for n, x in keywords(batch).items() if n in self.names}
        if self.padding:
            arguments[PADDING] = dict(batch.padding)
        return net(**arguments)


class AsDictionary:
    """Call a network with one dictionary of features by modality."""

    def __call__(self, net: nn.Module, batch: Batch) -> Any:
        """Run the network."""
        return net(dict(batch.features))


def keywords(batch: Batch) -> dict[str, Any]:
    """Modalities by their names, and fields of those with several tensors by theirs."""
    found: dict[str, Any] = dict(batch.features)
    for features in batch.features.values():
        if isinstance(features, Mapping):
            found |= features
    return found


def caller(net: nn.Module, batch: Batch) -> Call:
    """Find out how a network wants a batch from the signature of its ``forward``.

    Raises
    ------
    ValueError
        If it fits neither modalities nor their fields, or asks for more than there is.
    """
    parameters = inspect.signature(net.forward).parameters
    named = {
        n for n, p in parameters.items() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    anything = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    taken: set[str] = set()
    for name, features in batch.features.items():
        fields = set(features) if isinstance(features, Mapping) else set()
        if name in named or (anything and not fields):
            taken.add(name)
        elif fields and (fields <= named or anything):
            taken |= fields
        else:
            return _dictionary_or_error(net, batch, parameters)
    required = {n for n in named if parameters[n].default is inspect.Parameter.empty}
    if required - taken - {PADDING}:
        _refuse(net, batch, f"also needs {sorted(required - taken)}")
    return ByKeyword(taken, PADDING in named)


def _dictionary_or_error(net: nn.Module, batch: Batch, parameters) -> Call:
    required = [p for p in parameters.values() if p.default is p.empty and p.kind < 2]
    if len(required) == 1:
        return AsDictionary()
    return _refuse(net, batch, f"takes {list(parameters)}")


def _refuse(net: nn.Module, batch: Batch, what: str):
    raise ValueError(
        f"`forward` of {type(net).__name__} {what}, not the modalities {list(batch.features)}. "
        "Pass `call=lambda net, batch: net(...)`, with `batch.features[modality]` and "
        "`batch.padding[modality]`."
    )


def chosen_output(value: Any, output: Any = None, of: str = "The network") -> Tensor:
    """Tensor ``(B, H)`` in what a network returns.

    Parameters
    ----------
    value
        A tensor, or a tuple, dictionary or dataclass of them.
    output : str, int, tuple of them, or callable, optional
        Key, index, or function of `value`. By default the only tensor, or what is called
        ``logits``, as in Hugging Face's models.
    of : str
        What returned it, for the error.

    Raises
    ------
    ValueError
        If it is not clear which tensor is meant.
    """
    if callable(output):
        part = output(value)
    elif output is not None:
        at = output if isinstance(output, tuple) else (output,)
        try:
            part = part_at(value, by_index(value, at))
        except (KeyError, TypeError):
            part = None
    else:
        part = _obvious(value)
    if not isinstance(part, Tensor) or part.ndim == 0:
        raise ValueError(
            f"{of} returns {described(value)}: say which tensor (B, H) of it to use, with "
            "`output=` a key, an index, or a function of what is returned"
            + (f"; {output!r} does not give one." if output is not None else ".")
        )
    return part.unsqueeze(1) if part.ndim == 1 else part.flatten(1)


def _obvious(value: Any) -> Any:
    found = [x for _, x in tensors(value)]
    if len(found) == 1:
        return found[0]
    return dict(children(value)).get("logits")
