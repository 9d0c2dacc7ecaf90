"""Trained weights for MMML: the authors' checkpoints, and pretrained encoders by name or folder."""

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sure_pyro.backbones.mmml.config import MMMLConfig
from sure_pyro.backbones.mmml.encoders import Encoder, transformers

DAMAGED = (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError)
"""What readers raise on files that are cut off, or hold something else than tensors."""


def official_state(checkpoint: str | Path | Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of the authors' program, from a file or as it is.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If what is there is not a dictionary of tensors.
    """
    state = checkpoint if isinstance(checkpoint, Mapping) else _read(Path(checkpoint))
    parts = list(state.values()) if isinstance(state, Mapping) else [state]
    if not isinstance(state, Mapping) or not all(isinstance(x, Tensor) for x in parts):
        where = "The mapping" if state is checkpoint else str(checkpoint)
        raise ValueError(
            f"An MMML checkpoint is a dictionary of tensors, as `model.state_dict()` gives it. "
            f"{where} holds {sorted({type(x).__name__ for x in parts})}: save "
            "`model.state_dict()` and nothing else."
        )
    return dict(state)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise ValueError(
            f"{path} can not be read as a dictionary of tensors ({error}). It may be damaged, or "
            "hold objects, which are never unpickled here: save `model.state_dict()` again."
        ) from error


def fitting_config(config: MMMLConfig, state: Mapping[str, Tensor]) -> MMMLConfig:
    """Sizes with those widths that a checkpoint tells by its shapes.

    Those are the hidden layers of head M, the number of cross-modal layers, and the feed-forward
    layers there and in the transformers. What is not there changes nothing: `fill` names it.
    """
    rows = {name: tensor.shape[0] for name, tensor in state.items() if tensor.ndim == 2}
    head = [rows[name] for name in sorted(rows) if name.startswith("fused_output_layers.")]
    layers = {name.split(".")[1] for name in state if name.startswith("CME_layers.")}
    told: dict[str, Any] = {
        "hidden": tuple(head[:-1]),
        "num_layers": len(layers),
        "intermediate_size": rows.get("CME_layers.0.lang_inter.dense.weight"),
        "mixer_size": rows.get("text_encoder.layers.0.linear1.weight"),
    }
    return replace(config, **{name: value for name, value in told.items() if value})


def fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Copy a state dict into a network whose names and shapes are exactly those.

    Raises
    ------
    ValueError
        Naming everything that is missing, unexpected or of another shape; nothing is loaded then.
    """
    own = network.state_dict()
    problems = {
        "missing": [name for name in own if name not in state],
        "unexpected": [name for name in state if name not in own],
        "of another shape": [
            f"{name} {tuple(state[name].shape)} for {tuple(own[name].shape)}"
            for name in own
            if name in state and state[name].shape != own[name].shape
        ],
    }
    found = [
        f"{len(names)} {kind}: {', '.join(names)}" for kind, names in problems.items() if names
    ]
    if found:
        raise ValueError(
            "The checkpoint does not fit this MMML (is it of the same variant and sizes?). "
            + "; ".join(found)
        )
    network.load_state_dict(state)


def pretrained_encoders(text: str | Path, audio: str | Path) -> dict[str, nn.Module]:
    """RoBERTa and Data2Vec-audio, by their names on the hub or from folders.

    Weights are read from safetensors, or from torch files as tensors only.
    """
    hf = transformers()
    return {
        "text": hf.RobertaModel.from_pretrained(text),
        "audio": hf.Data2VecAudioModel.from_pretrained(audio),
    }


def encoder_config(model: Encoder) -> dict[str, Any]:
    """Keywords that build the configuration of an encoder again."""
    about = ("architectures", "dtype", "model_type", "transformers_version", "_name_or_path")
    return {k: v for k, v in model.config.to_dict().items() if k not in about}
