"""Models of ``transformers`` by name or folder, and as JSON that builds them again.

No code is run that comes with weights: only classes of the installed library are built, tensors
come from safetensors, and settings that would fetch code are refused.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

FOREIGN = ("auto_map", "quantization_config", "attn_implementation", "kernel_config")
"""Settings by which ``transformers`` would load code or packages that it does not hold itself."""
ATTENTION = ("eager", "sdpa")


def load_model(
    name: str | Path, architecture: str | None = None, *, local_files_only: bool = False
) -> nn.Module:
    """Load a model with all of its weights; no random number of the caller's is used up.

    Parameters
    ----------
    name : str or path
        Folder, or name on the Hugging Face hub.
    architecture : str, optional
        Class of the model; by default the one with which it was saved.
    local_files_only : bool
        Take what is on this machine, and ask nobody.

    Raises
    ------
    ValueError
        If there is no such model in safetensors, if it needs code of its own, if its class is not
        known, or if some of its weights are not in the file.
    """
    import transformers

    if (isinstance(name, Path) or Path(name).is_absolute()) and not Path(name).is_dir():
        raise ValueError(f"There is no folder {str(name)!r}; a name on the hub is a str.")
    try:
        config = transformers.AutoConfig.from_pretrained(
            name, local_files_only=local_files_only, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{str(name)!r} is no model that the installed transformers can build by itself: "
            f"{_first_line(error)} A model with code of its own is loaded by you and passed as "
            "it is."
        ) from error
    cls = model_class(architecture or next(iter(config.architectures or []), ""))
    with torch.random.fork_rng():
        try:
            model, found = cls.from_pretrained(
                name,
                config=config,
                local_files_only=local_files_only,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        except OSError as error:
            raise ValueError(
                f"The weights of {str(name)!r} could not be read from safetensors: "
                f"{_first_line(error)} Weights in another format are pickled; convert them with "
                "`model.save_pretrained(folder)`."
            ) from error
    if found["missing_keys"]:
        raise ValueError(
            f"{str(name)!r} does not hold {sorted(found['missing_keys'])} of {cls.__name__}, which "
            f"would be random. It was saved as {config.architectures}: pass `architecture=` such "
            "a class, or train the missing part first."
        )
    return model


def model_class(name: str) -> Any:
    """Class of the installed ``transformers``.

    Raises
    ------
    ValueError
        If there is no model of that name.
    """
    cls = _known_class(name)
    if cls is None:
        raise ValueError(
            f"{name!r} is no model of the installed transformers. Pass `architecture=` the name of "
            "its class, such as 'CLIPModel'."
        )
    return cls


def _known_class(name: str) -> Any:
    import transformers

    cls = getattr(transformers, name, None) if name.isidentifier() else None
    is_one = isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel)
    return cls if is_one and cast(Any, cls).config_class is not None else None


def as_json(model: nn.Module) -> dict[str, Any] | None:
    """Class and configuration from which `from_json` builds a model of the same form.

    Returns
    -------
    dict or None
        None where they do not tell the form: a class of one's own, layers that are quantised,
        adapted or hooked, a ``forward`` that was replaced.
    """
    if _known_class(type(model).__name__) is not type(model) or any(map(_changed, model.modules())):
        return None
    config = cast(Any, model).config
    form = {
        "class": type(model).__name__,
        "config": _without_place(json.loads(config.to_json_string(use_diff=False))),
        "attention": config._attn_implementation,
    }
    try:
        with torch.device("meta"), torch.random.fork_rng():
            again = from_json(form)
    except ValueError:
        return None
    return form if _shapes(again) == _shapes(model) else None


def from_json(form: Mapping[str, Any]) -> nn.Module:
    """Build what `as_json` described, with random weights.

    Raises
    ------
    ValueError
        If the class is not one of the installed ``transformers``, or a setting would fetch code.
    """
    foreign = [key for key in FOREIGN if key in set(_keys(form["config"]))]
    if foreign or form["attention"] not in (None, *ATTENTION):
        what = foreign[0] if foreign else f"attention {form['attention']!r}"
        raise ValueError(
            f"The configuration of {form['class']} has {what}, for which other code would be "
            "loaded; a file is not trusted with that. Build the model yourself and pass "
            "`backbone=sp.Backbone.from_transformers(model)`."
        )
    cls = model_class(form["class"])
    config = cls.config_class.from_dict(dict(form["config"]))
    config._attn_implementation = form["attention"]
    with torch.random.fork_rng():
        return cls(config)


def _changed(module: nn.Module) -> bool:
    hooked = module._forward_hooks or module._forward_pre_hooks
    return bool(hooked) or "forward" in module.__dict__


def _keys(value: Any) -> Iterator[str]:
    """Keys of nested dictionaries under which there is something."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if part is not None:
                yield key
            yield from _keys(part)


def _without_place(config: dict[str, Any]) -> dict[str, Any]:
    """Without where it was loaded from, which is of no use on another machine."""
    return {
        key: _without_place(part) if isinstance(part, dict) else part
        for key, part in config.items()
        if key != "_name_or_path"
    }


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: x.shape for name, x in model.state_dict().items()}


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
