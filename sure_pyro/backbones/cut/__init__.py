"""The generic cut: any network, opened at named submodules without touching it."""

from sure_pyro.backbones.cut.share import shared_copy
from sure_pyro.backbones.cut.taps import Tap

__all__ = ["Tap", "shared_copy"]
