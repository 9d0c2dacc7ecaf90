"""Backbones that can be built again from a name and settings, as a saved model has them."""

import importlib
from collections.abc import Mapping
from typing import Any

from sure_pyro.backbones.seam import Backbone

NAMED = {
    "MLPBackbone": "sure_pyro.backbones.small",
    "TransformerBackbone": "sure_pyro.backbones.small",
    "MMML": "sure_pyro.backbones.mmml",
    "MMBT": "sure_pyro.backbones.mmbt",
    "HAMLET": "sure_pyro.backbones.hamlet",
    "TransformersBackbone": "sure_pyro.backbones.hugging_face",
}
"""Modules by class name. Closed: a file can name no other class."""


def named_config(backbone: Backbone) -> tuple[str, dict[str, Any]] | None:
    """Name and keywords that build a backbone of the same form, or None for one of the user's."""
    name = type(backbone).__name__
    if not type(backbone).__module__.startswith(NAMED.get(name, "?")):
        return None
    config: Any = backbone.config
    return None if config is None else (name, config)


def build_named(name: str, config: Mapping[str, Any]) -> Backbone:
    """Build what `named_config` described.

    Raises
    ------
    ValueError
        If there is no backbone of that name.
    """
    if name not in NAMED:
        raise ValueError(f"There is no backbone {name!r}; there are {list(NAMED)}.")
    return getattr(importlib.import_module(NAMED[name]), name)(**config)
