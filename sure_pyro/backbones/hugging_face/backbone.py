"""A model of ``transformers`` behind the seam."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sure_pyro.backbones.compare import close, exchanged
from sure_pyro.backbones.cut.call import Call
from sure_pyro.backbones.cut.cut import Cut
from sure_pyro.backbones.cut.find import find_taps
from sure_pyro.backbones.cut.passes import Recording
from sure_pyro.backbones.cut.taps import Tap
from sure_pyro.backbones.hugging_face.draws import repeatable
from sure_pyro.backbones.hugging_face.inputs import Inputs, main_inputs
from sure_pyro.backbones.hugging_face.loading import as_json, from_json, load_model
from sure_pyro.backbones.hugging_face.outputs import LOGITS, as_output, check_rowwise, usual_fields
from sure_pyro.backbones.seam import maker
from sure_pyro.backbones.wrap import Ready, WrappedBackbone
from sure_pyro.data import Batch


@maker("from_transformers")
class TransformersBackbone(WrappedBackbone):
    """A model of ``transformers``, cut at named submodules or where it can be cut latest.

    Parameters
    ----------
    model : PreTrainedModel, str, path, or mapping
        A loaded model; a folder, or a name on the hub; or the ``model`` of `config`.
    latents : dict of str to str or Tap, optional
        As for `WrappedBackbone`. What is not named is looked for when the first rows come: the last
        submodule whose output changes with this modality alone and holds all that is read of it.
    inputs : dict of str to str, optional
        Modality to the keyword of its main input, such as ``{"caption": "input_ids"}``. By default
        what the signature tells: ``text`` for ``input_ids``, ``image`` for ``pixel_values``,
        ``audio`` for ``input_features`` or ``input_values``, ``video`` for
        ``pixel_values_videos``. Fields of a modality of several tensors are keywords themselves.
        The modalities have the order of `inputs`, else that of `latents` if it names all of them,
        else that of the signature.
    representation, readout : str, optional
        As for `WrappedBackbone`. Where nothing is said of the output and the model gives
        ``logits``, the readout is the affine layer that makes them, if there is one.
    output : str, int, tuple, list or callable, optional
        As for `WrappedBackbone`; a list means several fields side by side. By default ``logits``;
        else all fields ``(B, H)`` that are called ``..._embeds``; else the only field ``(B, H)``.
    call : callable, optional
        ``call(net, batch)``; `inputs` then only names the modalities.
    batch_size : int
        Rows that pass through the model at a time.
    architecture : str, optional
        Class to load by name; by default the one with which the model was saved.
    local_files_only : bool
        Load what is on this machine, and ask nobody.

    Raises
    ------
    TypeError
        If `model` is neither a model of transformers nor a name.
    ValueError
        As `sure_pyro.backbones.hugging_face.loading.load_model`; if a submodule or an input does
        not exist; and, at the first rows, if no place to cut at or no output is found.

    Examples
    --------
    >>> import torch
    >>> from transformers import CLIPConfig, CLIPModel
    >>> from sure_pyro.backbones import Backbone
    >>> small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    >>> picture = {**small, "image_size": 8, "patch_size": 4}
    >>> config = CLIPConfig(text_config=small, vision_config=picture, projection_dim=6)
    >>> backbone = Backbone.from_transformers(CLIPModel(config))
    >>> x = {"text": torch.arange(20).view(2, 10), "image": torch.randn(2, 3, 8, 8)}
    >>> latents = backbone.encode(Batch(x))
    >>> [tap.module for tap in backbone.taps.values()]
    ['text_projection', 'visual_projection']
    >>> tuple(latents["text"].shape), tuple(backbone.fuse(latents).shape)
    ((2, 6), (2, 12))
    """

    def __init__(
        self,
        model: Any,
        latents: Mapping[str, str | Tap | Mapping[str, Any]] | None = None,
        *,
        inputs: Mapping[str, str] | None = None,
        representation: str | None = None,
        readout: str | None = None,
        output: Any = None,
        call: Call | None = None,
        batch_size: int = 64,
        architecture: str | None = None,
        local_files_only: bool = False,
    ):
        net = _model(model, architecture, local_files_only)
        main = main_inputs(net, inputs)
        given = {name: _tap(place) for name, place in (latents or {}).items()}
        if inputs is None and set(given) == set(main):
            main = {name: main[name] for name in given}
        if not set(given) <= set(main):
            raise ValueError(
                f"`latents` names {list(given)}; the modalities of {type(net).__name__} are "
                f"{list(main)}. Name others by `inputs={{name: keyword}}`."
            )
        self.call: Call
        super().__init__(
            net,
            given,
            representation=representation,
            readout=readout,
            output=as_output(output),
            call=call or Inputs(main, _pad_token_id(net)),
            batch_size=batch_size,
        )
        self.modalities, self.inputs = tuple(main), main
        self.fields, self._own_call = output, call is not None

    @property
    def config(self) -> dict[str, Any] | None:
        """Keywords that build the same backbone again, in values that JSON can hold.

        None where there are none: with functions among the arguments, or a model whose form its
        configuration does not tell.
        """
        functions = any(tap.exists for tap in self.taps.values()) or callable(self.fields)
        form = None if functions or self._own_call else as_json(self.net)
        if form is None:
            return None
        return {
            "model": form,
            "latents": {name: _plain(tap) for name, tap in self.taps.items()},
            "inputs": self.inputs,
            "representation": self.representation,
            "readout": self.readout_path,
            "output": [self.fields] if isinstance(self.fields, tuple) else self.fields,
            "batch_size": self.batch_size,
        }

    @torch.no_grad()
    def _made(self, stand: Batch) -> Ready:
        with torch.autocast(stand.available.device.type, enabled=False):
            self.call = repeatable(self.call, self.net, stand)
            if self._end()[0] is None:
                self._settle_output(stand)
            missing = [name for name in self.modalities if name not in self.taps]
            if missing:
                probe = Cut(self.net, {}, self.call, self.output, *self._end(), everywhere=True)
                found = self.taps | find_taps(probe, stand, missing, exchanged, close)
                self.taps = {name: found[name] for name in self.modalities}
        return super()._made(stand)

    def _settle_output(self, stand: Batch) -> None:
        """Find the fields that are meant, or the readout that makes them; check what was given."""
        probe = Cut(self.net, {}, self.call, everywhere=True)
        run = Recording()
        two = run.through(lambda: self.call(probe.net, stand))
        three = self.call(probe.net, stand[[0, 1, 0]])
        of = type(self.net).__name__
        if self.output is not None:
            check_rowwise(two, three, self.output, of)
            return
        fields = usual_fields(two, three, of)
        self.readout_path = _maker(self.net, run, two[LOGITS]) if fields == [LOGITS] else None
        if self.readout_path is None:
            self.fields, self.output = fields, as_output(fields)


def _model(model: Any, architecture: str | None, local_files_only: bool) -> nn.Module:
    import transformers

    if isinstance(model, str | Path):
        return load_model(model, architecture, local_files_only=local_files_only)
    if isinstance(model, Mapping):
        return from_json(model)
    if not isinstance(model, transformers.PreTrainedModel):
        raise TypeError(
            f"`model` must be a model of transformers, a folder, or a name; got {type(model)}. "
            "`Backbone.wrap(net, latents=...)` takes any nn.Module."
        )
    return model


def _pad_token_id(net: nn.Module) -> int | None:
    config: Any = net.config
    return getattr(getattr(config, "text_config", None) or config, "pad_token_id", None)


def _maker(net: nn.Module, run: Recording, logits: Tensor) -> str | None:
    """Linear layer whose only call gave the logits."""
    for (path, number), output in run.outputs.items():
        found = output if isinstance(output, Tensor) else None
        if found is None or not isinstance(net.get_submodule(path), nn.Linear):
            continue
        if number == 0 and run.calls[path] == 1 and torch.equal(found, logits):
            return path
    return None


def _tap(place: Any) -> Any:
    """A place as JSON holds it, or as the user gave it."""
    if not isinstance(place, Mapping):
        return place
    output = place["output"]
    return Tap(**{**place, "output": tuple(output) if isinstance(output, list) else output})


def _plain(tap: Tap) -> dict[str, Any]:
    return {"module": tap.module, "output": tap.output, "call": tap.call, "axis": tap.axis}
