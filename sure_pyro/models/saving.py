"""A fitted model on disk: ``config.json`` and ``weights.safetensors``, no pickle."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sure_pyro.backbones import Backbone
from sure_pyro.backbones.named import build_named, named_config
from sure_pyro.backbones.stand_in import from_tensors, to_tensors
from sure_pyro.files import replacing, write_text
from sure_pyro.models.space import LatentSpace
from sure_pyro.models.weights import WEIGHT_POSTERIORS, WeightPosterior

if TYPE_CHECKING:
    from sure_pyro.models.sure import SURE

FORMAT = 1
PARTS = ("space", "reconstructor", "head")
STAND_IN = "stand_in."
POSTERIOR = "posterior."  # what names of the tensors of a posterior of the weights start with


def save(model: "SURE", path: str | Path) -> None:
    """Write a fitted model to a directory; see `SURE.save`."""
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    with replacing(path / "weights.safetensors") as file:
        save_file(_tensors(model), file)
    write_text(path / "config.json", json.dumps(_config(model), indent=2))


def load(model_class: type["SURE"], path: str | Path, backbone: Backbone | None) -> "SURE":
    """Read what `save` wrote; see `SURE.load`."""
    path = Path(path)
    config = json.loads((path / "config.json").read_text())
    if config["format"] != FORMAT:
        raise ValueError(f"{path} has format {config['format']}; this version reads {FORMAT}.")
    tensors = load_file(path / "weights.safetensors")
    model = model_class(backbone or _named_backbone(config, path), **config["settings"])
    shapes = {name: (L, D) for name, (L, D) in config["shapes"].items()}
    features = {name: _tuples(shape) for name, shape in config["feature_shapes"].items()}
    dtypes = {name: getattr(torch, dtype) for name, dtype in config["dtypes"].items()}
    model.space = LatentSpace(
        model.backbone, shapes, config["sequences"], features, dtypes, config["padded"]
    )
    model.build(config["width"], config["num_outputs"])
    model.class_names = tuple(config["class_names"]) if config["class_names"] else None
    for part in PARTS:
        # Tensors of the space are exchanged, not written into: a wrapped network is the user's.
        _load_part(getattr(model, part), tensors, f"{part}.", assign=part == "space")
    model.backbone.stand_in = from_tensors(_under(tensors, STAND_IN), model.backbone.modalities)
    model.weights = _posterior(config.get("weights"), tensors)
    return model.eval()


def _tensors(model: "SURE") -> dict[str, Tensor]:
    tensors = {}
    for part in PARTS:
        for name, tensor in getattr(model, part).state_dict().items():
            tensors[f"{part}.{name}"] = tensor.detach().cpu().contiguous().clone()
    for name, tensor in to_tensors(model.backbone.stand_in).items():
        tensors[f"{STAND_IN}{name}"] = tensor.detach().cpu().contiguous().clone()
    if model.weights is not None:
        for name, tensor in model.weights.tensors().items():
            tensors[f"{POSTERIOR}{name}"] = tensor.detach().cpu().contiguous().clone()
    return tensors


def _posterior(config: dict | None, tensors: dict[str, Tensor]) -> WeightPosterior | None:
    """Posterior of the weights, of the class that its own name says."""
    if config is None:
        return None
    own = _under(tensors, POSTERIOR)
    return WEIGHT_POSTERIORS[config["kind"]].restore(config, own)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def _tuples(shape):
    """Shape of a modality as written to JSON, or shapes of its tensors."""
    return {k: tuple(s) for k, s in shape.items()} if isinstance(shape, dict) else tuple(shape)


def _load_part(module: nn.Module, tensors: dict[str, Tensor], prefix: str, *, assign: bool) -> None:
    # Copied, so that they are aligned as any others: products are the same to the last bit.
    state = {name: tensor.clone() for name, tensor in _under(tensors, prefix).items()}
    module.load_state_dict(state, assign=assign)


def _config(model: "SURE") -> dict:
    named = named_config(model.backbone) or (None, None)
    return {
        "format": FORMAT,
        "backbone": named[0],
        "backbone_config": named[1],
        "settings": model.settings,
        "shapes": model.space.shapes,
        "sequences": sorted(model.space.sequences),
        "feature_shapes": model.space.feature_shapes,
        "dtypes": {n: str(d).removeprefix("torch.") for n, d in model.space.dtypes.items()},
        "padded": model.space.padded,
        "width": model.head.mean.in_features,
        "num_outputs": model.head.mean.out_features,
        "class_names": model.class_names,
        "weights": model.weights.config() if model.weights is not None else None,
    }


def _named_backbone(config: dict, path: Path) -> Backbone:
    if config["backbone"] is None:
        raise ValueError(
            f"The model in {path} stands on a backbone of your own: build it, and pass it as "
            "`SURE.load(path, backbone=...)`. Its weights are in the file."
        )
    return build_named(config["backbone"], config["backbone_config"])
