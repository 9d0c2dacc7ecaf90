"""Checkpoints of a running training: one safetensors file, written whole or not at all.

It holds what the run is (`sure_pyro.training.origin`), its history, and for every phase that has
begun where it stands: weights, best weights, optimiser and random state. With those of the phases
that are over, a run can be given more epochs later.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sure_pyro.files import replacing
from sure_pyro.training.history import History

if TYPE_CHECKING:
    from sure_pyro.training.steps import Step

FORMAT = 2
ANEW = "start anew: with another file, or with `resume=False`, which writes over this one."


@dataclass
class Progress:
    """Where a phase stands at the end of an epoch.

    Attributes
    ----------
    phase, epoch : str, int
        The phase, and the number of its finished epochs.
    best_value, best_epoch : float, int
        Lowest selection loss so far, and its epoch; -1 for the start.
    stale : int
        Epochs since then.
    """

    phase: str
    best_value: float = float("inf")
    epoch: int = 0
    best_epoch: int = -1
    stale: int = 0

    def take(self, value: float) -> bool:
        """Count an epoch of a selection loss; whether it is the best so far."""
        better = value < self.best_value
        self.stale = 0 if better else self.stale + 1
        if better:
            self.best_value, self.best_epoch = value, self.epoch
        self.epoch += 1
        return better


@dataclass
class Record:
    """What a checkpoint says of a run.

    Attributes
    ----------
    path : Path
        Of the file.
    origin : dict
        What the run is.
    history : History
    phases : list of Progress
        Those that have begun, in order.
    over, latest : dict of str to Tensor
        What the file holds of the phases before the last, and of the last.
    """

    path: Path
    origin: dict[str, Any]
    history: History = field(default_factory=History)
    phases: list[Progress] = field(default_factory=list)
    over: dict[str, Tensor] = field(default_factory=dict, repr=False)
    latest: dict[str, Tensor] = field(default_factory=dict, repr=False)

    def begin(self, progress: Progress) -> None:
        """Go over to the next phase; what the file holds of the others stays."""
        self.over, self.latest = self.over | self.latest, {}
        self.phases.append(progress)

    def go_back_to(self, position: int) -> None:
        """Drop what was done after a phase: it rested on what the phase will change."""
        self.phases = self.phases[: position + 1]
        del self.history.records[sum(p.epoch for p in self.phases) :]
        self.history.best = {p.phase: p.best_epoch for p in self.phases}

    @property
    def prefix(self) -> str:
        """What the names of the last phase's tensors begin with: phases may bear one name."""
        return f"{len(self.phases) - 1}/"

    def metadata(self) -> dict[str, str]:
        """All but the tensors, as text."""
        phases = [asdict(p) for p in self.phases]
        run = {"origin": self.origin, "history": asdict(self.history), "phases": phases}
        return {"format": str(FORMAT), "progress": json.dumps(run)}


def save_checkpoint(
    record: Record, step: "Step", best: dict[str, Tensor], optimizer: torch.optim.Optimizer
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
    record.latest = {
        f"{record.prefix}{k}": v.detach().contiguous().clone() for k, v in tensors.items()
    }
    record.path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(record.path) as temporary:
        save_file(record.over | record.latest, temporary, metadata=record.metadata())


def read_checkpoint(path: Path) -> Record:
    """Read what a run was and where it stood, without its tensors.

    Raises
    ------
    ValueError
        If the file is cut short, is something else, or is of another version.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"`checkpoint` {path} can not be read ({error}): it was cut short, or is no checkpoint "
            f"of a training. Put a whole copy in its place, or {ANEW}"
        ) from error
    if metadata.get("format") != str(FORMAT) or "progress" not in metadata:
        what = "of another version of sure_pyro" if "progress" in metadata else "no checkpoint"
        raise ValueError(
            f"`checkpoint` {path} is {what}: it does not say to which run it belongs, in format "
            f"{FORMAT}. Go on with the version that wrote it, or {ANEW}"
        )
    run = json.loads(metadata["progress"])
    phases = [Progress(**p) for p in run["phases"]]
    return Record(path, run["origin"], History(**run["history"]), phases)


def load_checkpoint(
    record: Record, step: "Step", optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """Put weights, optimiser and random state of the last phase back; return the best weights."""
    with safe_open(record.path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    begun = len(record.phases) - 1
    record.over = {k: t for k, t in tensors.items() if int(k.partition("/")[0]) < begun}
    record.latest = {k: t for k, t in tensors.items() if k.startswith(record.prefix)}
    tensors = _under(record.latest, record.prefix)
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
