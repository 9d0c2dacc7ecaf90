"""Any model of Hugging Face's ``transformers`` as a backbone."""

from sure_pyro.backbones.hugging_face.backbone import TransformersBackbone

__all__ = ["TransformersBackbone"]
