"""What a comparison keeps on disk, so that nothing that is finished is done again.

``cells/<model>-<data>-<seed>-<digest>.json`` holds a finished cell with the settings that made it,
``points/<digest>/`` a fitted point estimate, ``backbones/<digest>/`` a pretrained small backbone.
The digest is that of the settings: a changed setting has another name, and the file is compared
with the settings once more when it is read.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from sure_pyro.backbones import Backbone
from sure_pyro.backbones.named import named_config
from sure_pyro.comparison.data import Part
from sure_pyro.files import folder_replacing, write_text
from sure_pyro.identity import Settings, digest
from sure_pyro.models import SURE

FORMAT = 2
"""Raised when a metric or the meaning of a setting changes: older cells are then fitted again."""


class Store:
    """Files of a comparison under one folder.

    Parameters
    ----------
    root : Path
        Made if it is not there.
    """

    def __init__(self, root: Path):
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def cell_path(self, names: tuple[str, str, int], settings: Settings) -> Path:
        """File of a cell: (data, model, seed)."""
        words = "-".join(re.sub(r"[^\w.+]+", "_", str(name)) for name in names)
        return self.root / "cells" / f"{words}-{digest(settings)}.json"

    def read_cell(self, names: tuple[str, str, int], settings: Settings) -> dict[str, Any] | None:
        """Read a finished cell that these very settings made; None where there is none."""
        path = self.cell_path(names, settings)
        if not path.exists():
            return None
        record = json.loads(path.read_text(encoding="utf-8"))
        return record if record["settings"] == settings else None

    def write_cell(
        self, names: tuple[str, str, int], settings: Settings, record: dict[str, Any]
    ) -> None:
        """Write a finished cell, whole or not at all."""
        path = self.cell_path(names, settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(record | {"settings": settings}))

    def point(self, settings: Settings) -> Path:
        """Folder of a point estimate; it is there when the fit is finished."""
        return self.root / "points" / digest(settings)

    def read_backbone(self, settings: Settings) -> Backbone | None:
        """Read a pretrained backbone, where it is kept."""
        folder = self.root / "backbones" / digest(settings)
        return SURE.load(folder).backbone if folder.exists() else None

    def write_backbone(self, settings: Settings, backbone: Backbone, train: Part) -> None:
        """Keep a small backbone, in a model that is not fitted; others are made anew."""
        if named_config(backbone) is not None:
            with folder_replacing(self.root / "backbones" / digest(settings)) as temporary:
                SURE(backbone).initialize(train).save(temporary)
