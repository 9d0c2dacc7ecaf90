"""Make a backbone of any ``nn.Module`` by naming the submodules whose outputs are the latents."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sure_pyro.backbones.affine import as_affine
from sure_pyro.backbones.compare import close, exchanged
from sure_pyro.backbones.cut.call import Call, caller
from sure_pyro.backbones.cut.cut import Cut
from sure_pyro.backbones.cut.explain import explanation
from sure_pyro.backbones.cut.plan import Plan
from sure_pyro.backbones.cut.quantised import dequantised
from sure_pyro.backbones.cut.share import shared_copy
from sure_pyro.backbones.cut.taps import Tap, as_taps, checked_path
from sure_pyro.backbones.seam import Backbone, Latent, Tokens, maker
from sure_pyro.backbones.stand_in import repeated
from sure_pyro.data import Batch


class Ready(NamedTuple):
    """A cut that is ready for use."""

    cut: Cut
    plan: Plan
    readout: nn.Linear | None


@maker("wrap")
class WrappedBackbone(Backbone):
    """An existing network, cut at named submodules.

    ``encode`` runs the network until the last named submodule has given its output. ``fuse`` runs
    it again with those submodules answered by the given latents; what lies before them and has no
    effect behind them is not run. The network itself is left alone: passes go through a copy of its
    modules that shares its tensors, frozen and in evaluation mode, and nothing is hooked or
    patched. Later changes of the modules (other layers, another device) do not reach the copy;
    changes of weights in place do.

    Parameters
    ----------
    net : nn.Module
        Its ``forward`` takes the modalities by keyword, the fields of modalities of several tensors
        by keyword, one dictionary, or what `call` makes of a batch.
    latents : dict of str to str or Tap
        Modality name to the name of its submodule, as in ``net.named_modules()``. Its output is a
        vector ``(B, D)``, a sequence ``(B, L, D)`` or a map ``(B, D, height, width)``; with `Tap`
        also a part of a tuple, dictionary or dataclass, or one of several calls.
    representation : str, optional
        Name of the submodule whose output is the fused representation; by default what enters
        `readout`, or else the output of the network itself, flattened to ``(B, H)``.
    readout : str, optional
        Name of the module that follows the representation, for the head to start from. Where it is
        no affine map, it belongs to the fusion, and the representation is its output.
    output : str, int, tuple of them, or callable, optional
        Which tensor of the network's output (or of the representation's submodule) is meant, where
        that is a tuple, dictionary or dataclass: a key, an index, or a function of it. By default
        the only tensor, or ``"logits"``.
    call : callable, optional
        ``call(net, batch)``, for a network with a signature of its own.
    batch_size : int
        Rows that pass through the network at a time.

    Raises
    ------
    ValueError
        If a name is no submodule of `net`; the message lists those that are. If the network is
        scripted as a whole, or has weights without values.

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
        latents: Mapping[str, str | Tap],
        *,
        representation: str | None = None,
        readout: str | None = None,
        output: Any = None,
        call: Call | None = None,
        batch_size: int = 64,
    ):
        taps = as_taps(latents, net)
        _check_loaded(net)
        super().__init__(latents, batch_size=batch_size)
        self.taps = taps
        self.representation = representation and checked_path(net, representation)
        self.readout_path = readout and checked_path(net, readout)
        self.output, self.call = output, call
        self.net = dequantised(shared_copy(net, frozen=True))
        self._ready: Ready | None = None

    # -- the seam ---------------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> None:
        """See `Backbone.prepare`."""
        super().prepare(batch)
        self._ready = None

    def encode(self, batch: Batch | Mapping[str, Any], available: Tensor | None = None):
        """See `Backbone.encode`; features by modality will do for a batch."""
        batch = batch if isinstance(batch, Batch) else Batch(batch, available)
        if self.stand_in is None:
            self.prepare(batch)
        found = self.ready.cut.encode(batch)
        return {name: self._latent(name, z, batch) for name, z in found.items()}

    def fuse(self, latents: Mapping[str, Latent]) -> Tensor:
        """See `Backbone.fuse`. Differentiable in the latents."""
        if self.stand_in is None:
            raise ValueError(
                "`fuse` needs to know what the network's inputs look like: call `encode` on a "
                "batch first."
            )
        cut, plan, _ = self.ready
        z = {n: x.values if isinstance(x, Tokens) else x for n, x in latents.items()}
        exists = {n: x.exists for n, x in latents.items() if isinstance(x, Tokens)}
        rows = next(iter(z.values())).shape[0]
        return cut.fuse(z, repeated(self.stand_in, rows, exists, plan.copied), plan)

    def uncut(self, batch: Batch) -> Tensor:
        """See `Backbone.uncut`."""
        return self.ready.cut.whole(batch)

    def forward(self, batch: Batch) -> Tensor:
        """What the network says, ``(B, C)``."""
        return self.ready.cut.says(batch)

    def explain(self, rows: Batch, gap: float) -> str:
        """See `Backbone.explain`."""
        return explanation(self.ready.cut, rows, gap, exchanged, close)

    def readout(self, width: int) -> nn.Linear | None:
        """See `Backbone.readout`."""
        if self.readout_path is not None and self.ready.readout is not None:
            return self.ready.readout
        if self.readout_path is None and self.representation is not None:
            return None
        identity = nn.Linear(width, width)
        nn.init.eye_(identity.weight)
        nn.init.zeros_(identity.bias)
        return identity

    # -- how it is cut ----------------------------------------------------------------------------

    @property
    def ready(self) -> "Ready":
        """The cut and what goes with it, made from the rows that stand in when first needed."""
        ready = self._ready  # once: another thread may come between
        if ready is None:
            assert self.stand_in is not None
            self._ready = ready = self._made(self.stand_in)
        return ready

    @torch.no_grad()
    def _made(self, stand: Batch) -> "Ready":
        with torch.autocast(stand.available.device.type, enabled=False):
            call = self.call or caller(self.net, stand)
            cut = Cut(self.net, self.taps, call, self.output, *self._end())
            readout = None
            if self.readout_path is not None:
                readout = as_affine(cut.net.get_submodule(self.readout_path), cut.whole(stand))
                if readout is None:  # it belongs to the fusion
                    cut = Cut(self.net, self.taps, call, None, self.readout_path)
            plan = cut.plan(stand)
            return Ready(cut.prepared(plan), plan, readout)

    def _end(self) -> tuple[str | None, bool]:
        if self.representation is not None:
            return self.representation, False
        return self.readout_path, self.readout_path is not None

    def _latent(self, name: str, z: Tensor, batch: Batch) -> Latent:
        """Latent with its padding mask, where its tokens are those of a padded input."""
        exists = self.taps[name].exists
        if z.ndim == 2 or (exists is None and name not in batch.padding):
            return z
        mask = batch.padding[name] if exists is None else exists(batch)
        if mask.dtype != torch.bool or mask.shape != z.shape[:2]:
            raise ValueError(
                f"The latent of {name!r} has {z.shape[1]} tokens, its padding mask speaks of "
                f"{tuple(mask.shape)[1:]}. Say which tokens of the latent exist: "
                f"`Tap({self.taps[name].module!r}, exists=lambda batch: ...)`, bool (B, L)."
            )
        return Tokens(z, mask)

    def _apply(self, fn: Callable, recurse: bool = True) -> "WrappedBackbone":
        super()._apply(fn, recurse)
        self._ready = None
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Without the cut, which is made again when it is needed."""
        return {**self.__dict__, "_ready": None}


def _check_loaded(net: nn.Module) -> None:
    """Refuse a network that can not be opened, or whose weights have no values yet."""
    if isinstance(net, torch.jit.ScriptModule):
        raise ValueError(
            "The network is scripted or traced as a whole, so nothing inside can be cut. Wrap the "
            "network that it was made from, or write a `Backbone` with `encode` and `fuse`."
        )
    for name, p in net.named_parameters():
        if isinstance(p, nn.parameter.UninitializedParameter):
            raise ValueError(
                f"{name!r} takes its size from the first batch: run the network on some rows "
                "before it is wrapped."
            )
        if p.is_meta:
            raise ValueError(
                f"{name!r} has no values (its device is 'meta'): load the weights of the network, "
                "on one device, before it is wrapped."
            )
