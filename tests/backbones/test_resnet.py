"""The ResNet of transformers is the independent implementation that ours is held to."""

import re

import pytest
import torch
from torch import nn

from sure_pyro.backbones.resnet import RESNET50, Bottleneck, load_torchvision, trunk


def randomized(net, seed=0):
    """Random weights and batch-norm statistics that keep activations of order one."""
    g = torch.Generator().manual_seed(seed)
    for name, x in net.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            x.copy_(0.1 * torch.randn(x.shape, generator=g))
        elif name.endswith("running_var") or (x.ndim == 1 and name.endswith("weight")):
            x.copy_(0.5 + torch.rand(x.shape, generator=g))
        elif name.endswith("weight"):
            x.copy_(torch.randn(x.shape, generator=g) * (2 / x[0].numel()) ** 0.5)
    return net


def torchvision_state(net):
    """State dict of a trunk under torchvision's names, with a classifier."""
    names = {0: "conv1", 1: "bn1", 4: "layer1", 5: "layer2", 6: "layer3", 7: "layer4"}
    state = {
        re.sub(r"^\d", lambda m: names[int(m.group())], key): x
        for key, x in net.state_dict().items()
    }
    return state | {"fc.weight": torch.zeros(5, 8), "fc.bias": torch.zeros(5)}


def of_transformers(net, blocks, width):
    """The same weights in the ResNet of transformers."""
    transformers = pytest.importorskip("transformers")
    config = transformers.ResNetConfig(
        embedding_size=width,
        hidden_sizes=[4 * width * 2**i for i in range(4)],
        depths=list(blocks),
        layer_type="bottleneck",
    )
    peer = transformers.ResNetModel(config).eval()
    state = {}
    for key, x in net.state_dict().items():
        first, *rest = key.split(".")
        part = rest[-1]
        if first in "01":
            kind = "convolution" if first == "0" else "normalization"
            state[f"embedder.embedder.{kind}.{part}"] = x
            continue
        block = f"encoder.stages.{int(first) - 4}.layers.{rest[0]}"
        if rest[1] == "downsample":
            kind = "convolution" if rest[2] == "0" else "normalization"
            state[f"{block}.shortcut.{kind}.{part}"] = x
        else:
            kind = "convolution" if rest[1].startswith("conv") else "normalization"
            state[f"{block}.layer.{int(rest[1][-1]) - 1}.{kind}.{part}"] = x
    peer.load_state_dict(state)
    return peer


@pytest.mark.parametrize(("blocks", "width"), [((1, 1, 1, 1), 2), ((3, 4, 6, 3), 4)])
def test_agrees_with_the_resnet_of_transformers(blocks, width):
    net = randomized(trunk(blocks, width)).eval()
    x = torch.randn(2, 3, 65, 96)
    expected = of_transformers(net, blocks, width)(x).last_hidden_state
    assert expected.std() > 0.1
    torch.testing.assert_close(net(x), expected, rtol=1e-5, atol=1e-5)


def test_a_block_by_its_equation(double):
    block = randomized(Bottleneck(8, 2).double()).eval()
    x = torch.randn(3, 8, 5, 5)

    def normal(bn, x):
        scale = bn.weight / (bn.running_var + bn.eps).sqrt()
        return (x - bn.running_mean[:, None, None]) * scale[:, None, None] + bn.bias[:, None, None]

    def by_pixel(conv, x):
        return torch.einsum("bchw,kc->bkhw", x, conv.weight[:, :, 0, 0])

    inner = normal(block.bn1, by_pixel(block.conv1, x)).relu()
    inner = normal(block.bn2, block.conv2(inner)).relu()
    expected = (normal(block.bn3, by_pixel(block.conv3, inner)) + x).relu()
    torch.testing.assert_close(block(x), expected)


def test_published_sizes():
    net = trunk(RESNET50)
    classifier = 2048 * 1000 + 1000
    assert sum(p.numel() for p in net.parameters()) + classifier == 25_557_032  # as published
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 224, 224)).shape == (1, 2048, 7, 7)


def test_weights_of_torchvision_load_and_the_classifier_is_left_out():
    source, target = randomized(trunk((1, 2, 1, 1), 2)), trunk((1, 2, 1, 1), 2)
    load_torchvision(target, torchvision_state(source))
    for key, x in target.state_dict().items():
        torch.testing.assert_close(x, source.state_dict()[key], rtol=0, atol=0)


def test_old_files_of_torchvision_count_no_batches():
    source = trunk((1, 1, 1, 1), 2)
    state = {k: x for k, x in torchvision_state(source).items() if "num_batches" not in k}
    loaded = trunk((1, 1, 1, 1), 2)
    load_torchvision(loaded, state)
    for key, x in loaded.state_dict().items():
        expected = torch.tensor(0) if "num_batches" in key else source.state_dict()[key]
        torch.testing.assert_close(x, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda state: state.pop("layer4.0.conv2.weight"), r"Missing key.*7\.0\.conv2\.weight"),
        (lambda state: state.update({"layer5.w": torch.zeros(1)}), r"Unexpected key.*layer5\.w"),
        (lambda state: state.update({"conv1.weight": torch.zeros(4, 3, 7, 7)}), r"for 0\.weight"),
    ],
)
def test_other_weights_are_refused(change, named):
    state = torchvision_state(trunk((1, 1, 1, 1), 2))
    change(state)
    with pytest.raises(ValueError, match=rf"not those of torchvision's ResNet.*\n.*{named}"):
        load_torchvision(trunk((1, 1, 1, 1), 2), state)


@pytest.mark.parametrize(("blocks", "width"), [((3, 4, 6), 64), ((3, 4, 0, 3), 64), ((1,) * 4, 0)])
def test_impossible_sizes(blocks, width):
    with pytest.raises(ValueError, match="four stages of at least one block and a positive"):
        trunk(blocks, width)


def test_rows_do_not_mix_in_evaluation():
    net = randomized(trunk((1, 1, 1, 1), 2)).eval()
    x = torch.randn(3, 3, 40, 40)
    other = x.clone()
    other[1] = 1e3
    torch.testing.assert_close(net(other)[[0, 2]], net(x)[[0, 2]], rtol=0, atol=0)
    assert isinstance(net, nn.Sequential)
