"""HAMLET: action classes from video and inertial sensors, fused by attention over modalities."""

from sure_pyro.backbones.hamlet.backbone import HAMLET

__all__ = ["HAMLET"]
