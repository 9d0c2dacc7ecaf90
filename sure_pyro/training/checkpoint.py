"""Checkpoints of a running training: one safetensors file, written whole or not at all."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sure_pyro.training.history import History

if TYPE_CHECKING:
    from sure_pyro.training.steps import Step


@dataclass
class Progress:
    """Where a training stands at the end of an epoch.

    Attributes
    ----------
    phase, epoch : str, int
        The phase, and the number of its finished epochs.
    best_value : float
        Lowest selection loss so far.
    stale : int
        Epochs since then.
    finished : bool
        The phase is over.
    history : History
    """

    phase: str
    epoch: int = 0
    best_value: float = float("inf")
    stale: int = 0
    finished: bool = False
    history: History = field(default_factory=History)


def save_checkpoint(
    path: Path,
    progress: Progress,
    step: "Step",
    best: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write weights, best weights, optimiser, random state and history in one step."""
    tensors = {f"model/{k}": v for k, v in _state(step.trainable()).items()}
    tensors |= {f"best/{k}": v for k, v in best.items()}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{i}/{k}": torch.as_tensor(v) for k, v in state.items()}
    if step.elbo.memory is not None:
        tensors |= {f"memory/{k}": v for k, v in step.elbo.memory.state().items()}
    tensors["random/cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    tensors = {k: v.detach().contiguous().clone() for k, v in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, metadata={"progress": json.dumps(asdict(progress))})
    os.replace(temporary, path)


def read_progress(path: Path) -> Progress:
    """Read where the training stood, without its tensors."""
    with safe_open(path, framework="pt") as file:
        fields = json.loads(file.metadata()["progress"])
    return Progress(**{**fields, "history": History(**fields["history"])})


def load_checkpoint(
    path: Path, step: "Step", optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Put weights, optimiser and random state back; return the best weights."""
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    _load(step.trainable(), _under(tensors, "model/"))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in _under(tensors, "optimizer/").items():
        i, name = key.split("/")
        state.setdefault(int(i), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    if step.elbo.memory is not None:
        step.elbo.memory.load(_under(tensors, "memory/"))
    torch.set_rng_state(tensors["random/cpu"])
    if "random/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random/cuda"])
    return _under(tensors, "best/")


def trained_state(step: "Step") -> dict[str, Tensor]:
    """Copy what a phase changes: the tensors of ``step.trained()``."""
    return _state(step.trained())


def load_trained_state(step: "Step", state: dict[str, Tensor]) -> None:
    """Put back what `trained_state` copied."""
    _load(step.trained(), state)


def _state(parts: tuple[nn.Module, ...]) -> dict[str, Tensor]:
    return {
        f"{i}/{name}": tensor.detach().clone()
        for i, part in enumerate(parts)
        for name, tensor in part.state_dict().items()
    }


def _load(parts: tuple[nn.Module, ...], state: dict[str, Tensor]) -> None:
    for i, part in enumerate(parts):
        part.load_state_dict(_under(state, f"{i}/"))


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
