"""What a run is: its data, objective, phases, settings and model; and how two runs differ.

A checkpoint carries it, so that a run is resumed as itself only. It is plain JSON: what a person
can read is there as it is, data and weights are there as digests.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from sure_pyro.data import Batch
from sure_pyro.data.store import LatentStore
from sure_pyro.guides import WeightGuide
from sure_pyro.identity import digest, identity, of_tensor
from sure_pyro.models import SURE
from sure_pyro.objectives import CorrelationELBO
from sure_pyro.objectives.presets import Handler
from sure_pyro.training.settings import Settings

if TYPE_CHECKING:
    import lightning_fabric

Origin = dict[str, Any]
MARK = "digest:"
"""What a digest begins with: it is compared, and not shown."""
OWN = "one of your own"
PROBE, ROWS = "first latents", 4
CLOSE = 1e-2  # of the probe: far more than rounding makes of it on another machine
MOVED_BY_TRAINING = {"max_plate_nesting", "memory", "progress", "terms"}
"""Attributes of an ELBO that say where it stands, and not what it is."""


def origin_of(
    model: SURE,
    train: Batch | LatentStore,
    validation: Batch | LatentStore,
    fabric: lightning_fabric.Fabric,
    *,
    objective: Any,
    parts: tuple[CorrelationELBO, Handler],
    phases: tuple[str, ...],
    settings: Mapping[str, Settings],
    seed: int,
    guide: WeightGuide | None,
) -> Origin:
    """Everything that the numbers of a run depend on.

    Parameters
    ----------
    model : SURE
        Initialised.
    train, validation : Batch
    fabric : Fabric
    objective : Any
        As it was given to `fit`.
    parts : CorrelationELBO and handler
        What it stands for.
    phases, settings, seed, guide
        As `fit` runs them.
    """
    found = {
        "objective": of_objective(objective, *parts),
        "phases": list(phases),
        "settings": of_settings(settings, train.modalities),
        "seed": seed,
        "guide": of_guide(guide),
        "model": of_model(model),
        "backbone": of_backbone(model),
        "machine": of_fabric(fabric),
        "train": of_data(train),
        "validation": of_data(validation),
        PROBE: first_latents(model, train),
    }
    return json.loads(json.dumps(found))  # as it comes back from a file: tuples are lists


def other_run(before: Origin, now: Origin) -> list[str]:
    """Say in words what makes one run another; empty where they are the same."""
    plain = ({k: v for k, v in x.items() if k not in (PROBE, "objective")} for x in (before, now))
    apart = other_objective(before["objective"], now["objective"]) + differences(*plain)
    if apart or np.allclose(before[PROBE], now[PROBE], rtol=CLOSE, atol=CLOSE, equal_nan=True):
        return apart
    return [
        "backbone: the same weights give other latents or another fusion of the first rows of "
        "`train` (it was cut elsewhere, or the model was initialised on other rows)"
    ]


def first_latents(model: SURE, train: Batch | LatentStore) -> list[float]:
    """Size of latents and fusion in the first rows: where the backbone is cut shows in them."""
    rows = train.batch(slice(ROWS)) if isinstance(train, LatentStore) else train[:ROWS]
    latents = model.encode(rows)
    fused = model.space.fuse(latents.values, latents.exists(latents.available))
    first = [*latents.values.values(), fused]
    return (
        torch.stack([x.detach().float().flatten(1).norm(dim=1) for x in first]).flatten().tolist()
    )


def of_model(model: SURE) -> Origin:
    """Choices, sizes and classes of an initialised model."""
    parts = {"reconstructor": model.reconstructor, "head": model.head}
    shapes = {
        f"{part}.{name}": list(p.shape)
        for part, module in parts.items()
        for name, p in module.named_parameters()
    }
    return {
        **identity(model.settings),
        "latents": identity(model.space.shapes),
        "classes": identity(model.class_names),
        "shapes of the trained weights": MARK + digest(shapes),
    }


def of_backbone(model: SURE) -> Origin:
    """Kind and weights of the backbone, of quantised layers the packed ones."""
    state = model.backbone.state_dict()
    weights = {k: identity(w) for k, w in state.items() if isinstance(w, Tensor | tuple)}
    return {"kind": type(model.backbone).__name__, "weights": MARK + digest(weights)}


def of_data(batch: Batch | LatentStore) -> Origin:
    """Shape of the rows, and digests of values, masks and targets, by modality."""
    if isinstance(batch, LatentStore):
        return _of_store(batch)
    values = dict(_named_tensors("values", batch.features))
    masks = dict(_named_tensors("`recorded`", batch.recorded))
    masks |= _named_tensors("`padding`", batch.padding)
    found = {
        "rows": len(batch),
        "modalities": list(batch.modalities),
        "task": batch.task,
        "classes": identity(batch.class_names),
        **{f"shape of {name}": list(x.shape[1:]) for name, x in values.items()},
        **{f"dtype of {name}": str(x.dtype).removeprefix("torch.") for name, x in values.items()},
    }
    digests = {**values, "`available`": batch.available, **masks}
    if batch.target is not None:
        digests["targets"] = batch.target
    return found | {name: MARK + of_tensor(x) for name, x in digests.items()}


def _of_store(store: LatentStore) -> Origin:
    """Rows of a store by the checksums of its shards and their numbers: no row is read."""
    return {
        "rows": len(store),
        "modalities": list(store.modalities),
        "task": store.task,
        "classes": identity(store.class_names),
        "shards": MARK + digest([shard.sha256 for shard in store.manifest.shards]),
        "numbers of the rows": MARK + of_tensor(store.source),
    }


def of_objective(name: Any, elbo: CorrelationELBO, handler: Handler) -> Origin:
    """Name where there is one, score, and all options of the correlation beside it."""
    options = {k: _described(v) for k, v in vars(elbo).items() if k not in MOVED_BY_TRAINING}
    return {
        "name": name if isinstance(name, str) else OWN,
        "score": _described(handler()),
        "elbo": type(elbo).__qualname__,
        "memory": elbo.memory.size if elbo.memory is not None else 0,
        **options,
    }


def of_settings(settings: Mapping[str, Settings], modalities: tuple[str, ...]) -> Origin:
    """Settings of each phase but for the number of epochs, which may grow."""
    return {
        phase: {
            **{f.name: getattr(s, f.name) for f in fields(s) if f.name != "epochs"},
            "hiding": {name: float((s.hiding or {}).get(name, 1.0)) for name in modalities},
        }
        for phase, s in settings.items()
    }


def of_guide(guide: WeightGuide | None) -> Origin | None:
    """Kind and options of a guide over weights."""
    return None if guide is None else {"kind": guide.kind, "options": identity(guide.options())}


def of_fabric(fabric: lightning_fabric.Fabric) -> Origin:
    """What of the machine changes the numbers: precision and number of processes."""
    return {"precision": fabric.strategy.precision.precision, "processes": fabric.world_size}


def differences(before: Origin, now: Origin) -> list[str]:
    """Say in words what differs; empty where nothing does.

    Examples
    --------
    >>> differences({"seed": 0, "train": {"rows": 9}}, {"seed": 7, "train": {"rows": 8}})
    ['seed 0, now 7', 'train: rows 9, now 8']
    """
    found = []
    for name in dict.fromkeys([*before, *now]):
        a, b = before.get(name), now.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            inside = differences(dict(a), dict(b))
            found += [f"{name}: {', '.join(inside)}"] if inside else []
        elif a != b:
            found.append(_other(name, a, b))
    # Other rows or shapes have other values, which goes without saying.
    shown = [line for line in found if not line.startswith("other ")]
    return shown or found


def other_objective(a: Origin, b: Origin) -> list[str]:
    """Say it by the names where these differ; two names of one objective are one."""
    inside = differences({**a, "name": None}, {**b, "name": None})
    if not inside:
        return []
    if a["name"] != b["name"]:
        return [f"objective {a['name']!r}, now {b['name']!r}"]
    return [f"objective: {', '.join(inside)}"]


def _other(name: str, a: Any, b: Any) -> str:
    if any(isinstance(x, str) and x.startswith(MARK) for x in (a, b)):
        return f"other {name}"
    return f"{name} {a!r}, now {b!r}"


def _named_tensors(what: str, tensors: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Every tensor under the name of its modality, and its own where a modality has several."""
    for name, x in tensors.items():
        if isinstance(x, Mapping):
            yield from ((f"{what} of {f'{name}/{key}'!r}", t) for key, t in x.items())
        else:
            yield f"{what} of {name!r}", x


def _described(value: Any) -> Any:
    """Readable where it can be; what is not of this library with a digest of what it does."""
    if isinstance(value, Messenger):
        return {
            "is": type(value).__qualname__,
            **{k: _described(v) for k, v in vars(value).items()},
        }
    if not callable(value):
        return identity(value)
    name = getattr(value, "__name__", type(value).__name__)
    ours = (inspect.getmodule(value) or inspect).__name__.startswith("sure_pyro.")
    return name if ours else f"{name} ({digest(identity(value))})"
