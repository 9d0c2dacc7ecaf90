"""MMBT: BERT that reads image tokens in front of the words. Needs the extra ``hf``."""

from sure_pyro.backbones.mmbt.backbone import MMBT
from sure_pyro.backbones.mmbt.loss import multilabel_loss, positive_weights

__all__ = ["MMBT", "multilabel_loss", "positive_weights"]
