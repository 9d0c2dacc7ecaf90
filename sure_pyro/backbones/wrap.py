"""Wrap any ``nn.Module`` as a backbone by naming the submodules whose outputs are the latents."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from sure_pyro.backbones.seam import Backbone, Latent, Tokens


class _Reached(Exception):  # noqa: N818  (a signal that stops a forward pass, not an error)
    pass


class WrappedBackbone(Backbone):
    """An existing network, cut at named submodules.

    ``encode`` runs the network until the last named submodule has produced its output and stops
    there. ``fuse`` runs it again with those submodules *bypassed*: they are not run, their output
    is the given latent. What the network does between its input and a named submodule runs in
    both, in `fuse` on zeros and without effect.

    Parameters
    ----------
    net : nn.Module
        Its ``forward`` takes the modalities by keyword, as one dictionary, or through `call`.
    latents : dict of str to str
        Modality name to the name of its submodule, as in ``net.named_modules()``. The submodule's
        output must be a tensor ``(B, D)`` or ``(B, L, D)``.
    representation : str, optional
        Name of the submodule whose output is the fused representation; by default the output of
        the network itself, flattened to ``(B, H)``.
    readout : str, optional
        Name of the linear layer that follows the representation, for the head to start from. When
        the representation is the network's output, the head starts from that output itself.
    call : callable, optional
        ``call(net, features)``, for a network with a signature of its own.

    Raises
    ------
    ValueError
        If a name is no submodule of `net` (the message lists those that are), or if the signature
        does not fit the modalities and no `call` is given.

    Examples
    --------
    >>> import torch
    >>> class Net(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.image_proj, self.text_proj = torch.nn.Linear(5, 3), torch.nn.Linear(4, 3)
    ...         self.out = torch.nn.Linear(6, 2)
    ...     def forward(self, image, text):
    ...         return self.out(torch.cat([self.image_proj(image), self.text_proj(text)], -1))
    >>> backbone = Backbone.wrap(Net(), latents={"image": "image_proj", "text": "text_proj"})
    >>> x = {"image": torch.zeros(7, 5), "text": torch.zeros(7, 4)}
    >>> latents = backbone.encode(Batch(x))
    >>> tuple(latents["text"].shape), tuple(backbone.fuse(latents).shape)
    ((7, 3), (7, 2))
    """

    def __init__(
        self,
        net: nn.Module,
        latents: Mapping[str, str],
        *,
        representation: str | None = None,
        readout: str | None = None,
        call: Callable[[nn.Module, Mapping[str, Tensor]], Tensor] | None = None,
    ):
        super().__init__(latents)
        _check_submodules(net, [p for p in (*latents.values(), representation, readout) if p])
        self.net = net
        self.tapped = dict(latents)
        self.representation = representation
        self._readout = readout
        self._call = call or _caller(net, self.modalities)
        self._templates: dict[
            str, Tensor
        ] = {}  # one zero row per modality, to fuse without features

    def encode(self, batch) -> dict[str, Latent]:
        """See `Backbone.encode`."""
        features = batch.features
        self._templates = {name: torch.zeros_like(x[:1]) for name, x in features.items()}
        found: dict[str, Tensor] = {}

        def tap(name):
            def hook(module, args, output):
                found[name] = output
                if len(found) == len(self.tapped):
                    raise _Reached  # the rest of the network is not needed

            return hook

        hooks = [
            self.net.get_submodule(path).register_forward_hook(tap(name))
            for name, path in self.tapped.items()
        ]
        try:
            self._call(self.net, features)
        except _Reached:
            pass
        finally:
            for handle in hooks:
                handle.remove()
        return {name: _as_latent(name, self.tapped[name], found) for name in self.modalities}

    def fuse(self, latents) -> Tensor:
        """See `Backbone.fuse`. Differentiable in the latents."""
        if not self._templates:
            raise ValueError("`fuse` needs the feature shapes: call `encode` on a batch first.")
        given = {
            self.tapped[name]: z.values if isinstance(z, Tokens) else z
            for name, z in latents.items()
        }
        num_rows = next(iter(given.values())).shape[0]
        zeros = {k: x.expand(num_rows, *x.shape[1:]) for k, x in self._templates.items()}
        with _bypassed(self.net, given):
            if self.representation is None:
                return self._call(self.net, zeros).flatten(1)
            return self._tap(self.representation, zeros)

    def readout(self, width: int) -> nn.Linear | None:
        """See `Backbone.readout`."""
        if self._readout is not None:
            return cast(nn.Linear, self.net.get_submodule(self._readout))
        if self.representation is not None:
            return None
        identity = nn.Linear(width, width)
        nn.init.eye_(identity.weight)
        nn.init.zeros_(identity.bias)
        return identity

    def _tap(self, path: str, features) -> Tensor:
        found = []

        def hook(module, args, output):
            found.append(output)
            raise _Reached

        handle = self.net.get_submodule(path).register_forward_hook(hook)
        try:
            self._call(self.net, features)
        except _Reached:
            pass
        finally:
            handle.remove()
        if not found:
            raise ValueError(f"The submodule {path!r} was not run by the network.")
        return found[0].flatten(1)

    def get_extra_state(self) -> dict[str, Tensor]:
        """Feature shapes seen by `encode`, so that a loaded backbone can fuse at once."""
        return dict(self._templates)

    def set_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `get_extra_state` gave."""
        self._templates = dict(state)


@contextmanager
def _bypassed(net: nn.Module, outputs: Mapping[str, Tensor]) -> Iterator[None]:
    """Let the named submodules return the given outputs instead of running."""
    modules = {path: net.get_submodule(path) for path in outputs}
    for path, module in modules.items():
        module.forward = lambda *args, _output=outputs[path], **kwargs: _output  # type: ignore[method-assign]
    try:
        yield
    finally:
        for module in modules.values():
            del module.forward  # uncovers the method of its class


def _as_latent(name: str, path: str, found: Mapping[str, Tensor]) -> Tensor:
    if name not in found:
        raise ValueError(f"The submodule {path!r} of modality {name!r} was not run by the network.")
    z = found[name]
    if not isinstance(z, Tensor) or z.ndim not in (2, 3):
        came = tuple(z.shape) if isinstance(z, Tensor) else type(z).__name__
        raise ValueError(
            f"The latent of {name!r} (submodule {path!r}) must be a tensor (B, D) or (B, L, D); "
            f"got {came}. Name a submodule with such an output."
        )
    return z


def _check_submodules(net: nn.Module, paths) -> None:
    names = [name for name, _ in net.named_modules() if name]
    for path in paths:
        if path not in names:
            raise ValueError(f"{path!r} is no submodule of {type(net).__name__}; it has {names}.")


def _caller(net: nn.Module, modalities) -> Callable:
    parameters = inspect.signature(net.forward).parameters
    if set(modalities) <= set(parameters):
        return lambda net, features: net(**{name: features[name] for name in modalities})
    required = [p for p in parameters.values() if p.default is p.empty and p.kind < 2]
    if len(required) == 1:
        return lambda net, features: net(dict(features))
    raise ValueError(
        f"`forward` of {type(net).__name__} takes {list(parameters)}, not the modalities "
        f"{list(modalities)}. Pass `call=lambda net, features: net(...)`."
    )
