"""The seam to pretrained models: what SURE needs of one, and how to get it from any network."""

from sure_pyro.backbones.check import check_backbone
from sure_pyro.backbones.cut.taps import Tap
from sure_pyro.backbones.hugging_face import TransformersBackbone
from sure_pyro.backbones.pretraining import pretrain
from sure_pyro.backbones.seam import Backbone, Latent, Tokens
from sure_pyro.backbones.small import MLPBackbone, TransformerBackbone
from sure_pyro.backbones.wrap import WrappedBackbone

__all__ = [
    "Backbone",
    "Tokens",
    "Latent",
    "check_backbone",
    "WrappedBackbone",
    "TransformersBackbone",
    "Tap",
    "MLPBackbone",
    "TransformerBackbone",
    "pretrain",
]
