"""MMML: sentiment from text and speech, by RoBERTa, Data2Vec-audio and cross-modal attention.

Wu, Gong, Koo and Hirschberg (2024), Multimodal multi-loss fusion network for sentiment analysis,
NAACL; arXiv 2308.00264. `MMML` is the backbone, `MMMLConfig` its sizes, `multi_task_loss` what it
is trained with. Needs the extra ``hf``, for the two encoders.
"""

from sure_pyro.backbones.mmml.backbone import MMML
from sure_pyro.backbones.mmml.config import MMMLConfig
from sure_pyro.backbones.mmml.loss import multi_task_loss

__all__ = ["MMML", "MMMLConfig", "multi_task_loss"]
