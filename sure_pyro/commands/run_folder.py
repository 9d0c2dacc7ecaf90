"""The folder of a run: everything that ``encode``, ``fit``, ``calibrate``, ``predict`` leave."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from sure_pyro.backbones import Backbone
from sure_pyro.backbones.named import build_named, named_config
from sure_pyro.calibration import CalibratedSURE
from sure_pyro.commands.settings import OPTION
from sure_pyro.data.store import LatentStore
from sure_pyro.data.store.manifest import FILE
from sure_pyro.files import replacing, write_text
from sure_pyro.models import SURE

PARTS = ("train", "validation", "test", "all")
FRACTIONS = (0.7, 0.1, 0.2)  # of rows without official parts
UNRECORDED = {"run", "folder", "quiet", "settings", "command_line", "all_threads"}


def add_run(p: argparse.ArgumentParser) -> None:
    """Add what these commands have in common."""
    p.add_argument("folder", type=Path, metavar="RUN", help="folder of the run")
    p.add_argument(OPTION, type=Path, metavar="FILE", help="options as JSON; given ones win")
    p.add_argument("--quiet", action="store_true", help="no progress bars, no text")


class RunFolder:
    """Files of a run by their names.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.settings_file = folder / "settings.json"
        self.ids_file = folder / "ids.json"
        self.store = folder / "store"
        self.backbone = folder / "backbone"
        self.checkpoint = folder / "fit.checkpoint"
        self.history = folder / "history.csv"
        self.model = folder / "model"
        self.calibrated = folder / "calibrated"
        self.parts = folder / "predictions.parts"

    # -- settings -------------------------------------------------------------------------------

    def settings(self, command: str) -> dict[str, Any] | None:
        """Options with which a command was run here last, or None."""
        return self._all_settings().get(command)

    def record(self, command: str, options: argparse.Namespace) -> None:
        """Keep the options of a command, so that they can be given again."""
        settings = self._all_settings() | {command: as_settings(options)}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.settings_file, json.dumps(settings, indent=2) + "\n")

    def _all_settings(self) -> dict[str, Any]:
        if not self.settings_file.is_file():
            return {}
        return json.loads(self.settings_file.read_text(encoding="utf-8"))

    # -- the backbone ---------------------------------------------------------------------------

    def save_backbone(self, backbone: Backbone) -> None:
        """Write form and weights, so that later commands need no checkpoint."""
        named = named_config(backbone)
        assert named is not None
        self.backbone.mkdir(exist_ok=True)
        # Tied weights are several names of one tensor, which the format refuses.
        tensors = {name: x.detach().clone() for name, x in backbone.state_dict().items()}
        with replacing(self.backbone / "weights.safetensors") as file:
            save_file(tensors, file)
        form = {"name": named[0], "config": named[1]}
        write_text(self.backbone / "config.json", json.dumps(form, indent=2))

    def load_backbone(self) -> Backbone:
        """Build what `save_backbone` wrote."""
        self._require(self.backbone / "config.json", "encode")
        form = json.loads((self.backbone / "config.json").read_text(encoding="utf-8"))
        backbone = build_named(form["name"], form["config"])
        backbone.load_state_dict(load_file(self.backbone / "weights.safetensors"))
        return backbone

    # -- rows and models ------------------------------------------------------------------------

    def part(self, name: str, seed: int) -> LatentStore:
        """Rows of a part: the official one, else one cut by `seed` between the groups.

        Raises
        ------
        ValueError
            If there are no such rows, or nothing has been encoded.
        """
        self._require(self.store / FILE, "encode")
        store = LatentStore.open(self.store, verify=False)
        if name == "all":
            return store
        if {"train", "validation"} <= set(store.splits):
            if name not in store.splits:
                raise ValueError(
                    f"The dataset has no part {name!r}; it has {[*store.splits, 'all']}."
                )
            return store.select(store.splits[name])
        return store.split(FRACTIONS, seed)[PARTS.index(name)]

    @property
    def seed(self) -> int:
        """Seed by which the model's rows were cut."""
        return (self.settings("fit") or {}).get("seed", 0)

    def load_model(self) -> SURE:
        """The fitted model, calibrated where it was."""
        if self.calibrated.is_dir():
            return CalibratedSURE.load(self.calibrated)
        return self.load_fitted()

    def load_fitted(self) -> SURE:
        """The fitted model, as it was fitted."""
        self._require(self.model / "config.json", "fit")
        return SURE.load(self.model)

    def _require(self, path: Path, command: str) -> None:
        if not path.exists():
            raise ValueError(
                f"{self.folder} has no {path.relative_to(self.folder)}: run "
                f"`sure-pyro {command} {self.folder}` first."
            )


def as_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Options as JSON values, without those that only say how to show or where to put things."""
    kept = {k: v for k, v in vars(options).items() if k not in UNRECORDED}
    return {k: _plain(v) for k, v in kept.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
