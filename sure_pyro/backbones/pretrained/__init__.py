"""Two small pretrained encoders from ordinary packages: pictures and words, without a download."""

from sure_pyro.backbones.pretrained.pictures import Lite0Encoder
from sure_pyro.backbones.pretrained.texts import WordLlamaEncoder, WordLlamaTokenizer

__all__ = ["Lite0Encoder", "WordLlamaEncoder", "WordLlamaTokenizer"]
