"""Residual networks of bottleneck blocks [He2016]_, in torchvision's layout.

MMBT sees images through a ResNet-152, HAMLET sees frames through a ResNet-50, both without the last
pooling and the classifier. `trunk` builds that part as the sequence that ``resnet.children()``
gives in torchvision, so its keys, ``{0,1,4,5,6,7}.*``, are those of official MMBT checkpoints;
`load_torchvision` takes the keys of torchvision itself.

References
----------
.. [He2016] Deep residual learning for image recognition. CVPR. The stride sits in the 3 x 3
   convolution, as in torchvision ("ResNet v1.5").
"""

from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn

RESNET50 = (3, 4, 6, 3)
RESNET152 = (3, 8, 36, 3)
EXPANSION = 4
"""A block has so many times more channels outside than inside its 3 x 3 convolution."""

CHILDREN = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
"""torchvision's names of the children that have weights, and their places in `trunk`."""


class Bottleneck(nn.Module):
    """ReLU(x' + F(x)): F narrows by 1 x 1, convolves by 3 x 3, widens by 1 x 1; x' fits its shape.

    Parameters
    ----------
    inputs : int
        Channels that come in.
    width : int
        Channels inside; ``4 * width`` go out.
    stride : int
        Of the 3 x 3 convolution.
    """

    def __init__(self, inputs: int, width: int, stride: int = 1):
        super().__init__()
        outputs = EXPANSION * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.downsample = None
        if stride != 1 or inputs != outputs:
            project = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(project, nn.BatchNorm2d(outputs))

    def forward(self, x: Float[Tensor, "B c h w"]) -> Float[Tensor, "B k hk wk"]:
        """Feature maps; height and width are divided by the stride and rounded up."""
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + shortcut)


def trunk(blocks: Sequence[int] = RESNET152, width: int = 64) -> nn.Sequential:
    """Build a ResNet without its last pooling and its classifier.

    Parameters
    ----------
    blocks : sequence of four int
        Bottleneck blocks per stage: `RESNET50`, `RESNET152`.
    width : int
        Channels of the first convolution; 64 in the published networks.

    Returns
    -------
    nn.Sequential
        ``(B, 3, h, w)`` to ``(B, 32 * width, h / 32, w / 32)``, both rounded up.

    Raises
    ------
    ValueError
        If there are not four stages of at least one block, or the width is not positive.
    """
    if len(blocks) != 4 or min(blocks) < 1 or width < 1:
        raise ValueError(
            "A ResNet has four stages of at least one block and a positive `width`; got "
            f"blocks={tuple(blocks)}, width={width}. ResNet-50 is {RESNET50} with width 64."
        )
    stem = [
        nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    stages, channels = [], width
    for i, count in enumerate(blocks):
        first = Bottleneck(channels, width * 2**i, stride=1 if i == 0 else 2)
        channels = EXPANSION * width * 2**i
        rest = [Bottleneck(channels, width * 2**i) for _ in range(count - 1)]
        stages.append(nn.Sequential(first, *rest))
    return nn.Sequential(*stem, *stages)


def load_torchvision(resnet: nn.Sequential, state: Mapping[str, Tensor]) -> nn.Sequential:
    """Load a state dict of torchvision's ``resnet50``, ``resnet101`` or ``resnet152``.

    Parameters
    ----------
    resnet : nn.Sequential
        What `trunk` gives.
    state : mapping of str to Tensor
        Its classifier ``fc.*`` is left out.

    Returns
    -------
    nn.Sequential
        The same, with those weights.

    Raises
    ------
    ValueError
        If keys or shapes are not those of this network.
    """
    own = {}
    for key, tensor in state.items():
        child, _, rest = key.partition(".")
        if child != "fc":
            own[f"{CHILDREN.get(child, child)}.{rest}"] = tensor
    try:
        resnet.load_state_dict(own)
    except RuntimeError as error:
        raise ValueError(
            "The weights are not those of torchvision's ResNet with as many blocks and channels "
            f"as here (conv1 is 0, bn1 is 1, layer1 to layer4 are 4 to 7): {error}"
        ) from error
    return resnet
