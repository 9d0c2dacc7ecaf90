import pytest
import torch
from torch import nn

from sure_pyro.backbones import Backbone, Tokens, check_backbone
from sure_pyro.data import Batch


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(5, 5)
        self.image_proj, self.text_proj = nn.Linear(5, 3), nn.Linear(4, 3)
        self.trunk, self.out = nn.Linear(6, 7), nn.Linear(7, 2)

    def forward(self, image, text):
        z = torch.cat([self.image_proj(self.stem(image).relu()), self.text_proj(text)], -1)
        return self.out(self.trunk(z).relu())


LATENTS = {"image": "image_proj", "text": "text_proj"}
X = {"image": torch.randn(9, 5), "text": torch.randn(9, 4)}
BATCH = Batch(X)


def test_encode_then_fuse_is_the_network():
    net = Net()
    backbone = Backbone.wrap(net, LATENTS).freeze()
    torch.testing.assert_close(backbone.fuse(backbone.encode(BATCH)), net(**X))


def test_named_submodules_are_bypassed_and_the_rest_is_not_run_to_encode():
    calls = []
    net = Net()
    for name in ("image_proj", "text_proj", "trunk"):
        original = type(getattr(net, name)).forward

        class Spy(nn.Linear):
            def forward(self, x, _name=name, _original=original):
                calls.append(_name)
                return _original(self, x)

        getattr(net, name).__class__ = Spy
    backbone = Backbone.wrap(net, LATENTS).freeze()
    backbone.encode(BATCH)  # the first time, it also finds out what can be left out
    calls.clear()
    latents = backbone.encode(BATCH)
    assert calls == ["image_proj", "text_proj"]
    calls.clear()
    backbone.fuse(latents)
    assert calls == ["trunk"]


def test_network_is_left_as_it_was():
    net = Net()
    expected = net(**X)
    backbone = Backbone.wrap(net, LATENTS)
    backbone.fuse(backbone.encode(BATCH))
    torch.testing.assert_close(net(**X), expected)
    assert all("forward" not in vars(m) for m in net.modules())
    assert all(not m._forward_hooks for m in net.modules())


def test_fuse_takes_other_latents_and_other_numbers_of_rows_and_is_differentiable():
    net = Net()
    backbone = Backbone.wrap(net, LATENTS).freeze()
    backbone.encode(BATCH)
    z = {"image": torch.randn(2, 3, requires_grad=True), "text": torch.randn(2, 3)}
    y = backbone.fuse(z)
    expected = net.out(net.trunk(torch.cat([z["image"], z["text"]], -1)).relu())
    torch.testing.assert_close(y, expected)
    (gradient,) = torch.autograd.grad(y.sum(), z["image"])
    assert gradient.abs().sum() > 0


def test_representation_may_be_an_inner_layer_with_its_readout():
    net = Net()
    backbone = Backbone.wrap(net, LATENTS, representation="trunk", readout="out").freeze()
    h = backbone.fuse(backbone.encode(BATCH))
    assert h.shape == (9, 7)
    torch.testing.assert_close(net.out(h.relu()), net(**X))


def test_output_as_representation_is_read_out_as_it_is():
    readout = Backbone.wrap(Net(), LATENTS).readout(2)
    x = torch.randn(3, 2)
    torch.testing.assert_close(readout(x), x)


class DictNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 3), nn.GRU(4, 3, batch_first=True)
        self.b_out = nn.Linear(3, 3)

    def forward(self, x):
        return self.a(x["image"]) + self.b_out(self.b(x["text"])[0]).mean(1)


def test_a_network_that_takes_one_dictionary_and_gives_sequences():
    net = DictNet()
    backbone = Backbone.wrap(net, {"image": "a", "text": "b_out"}).freeze()
    x = {"image": X["image"], "text": torch.randn(9, 6, 4)}
    latents = backbone.encode(Batch(x))
    assert latents["text"].shape == (9, 6, 3)
    exists = torch.ones(9, 6, dtype=torch.bool)
    torch.testing.assert_close(
        backbone.fuse({**latents, "text": Tokens(latents["text"], exists)}), net(x)
    )


def test_call_adapts_any_signature():
    class Positional(Net):
        def forward(self, first, second):
            return super().forward(first, second)

    with pytest.raises(ValueError, match=r"takes \['first', 'second'\], not the modalities"):
        Backbone.wrap(Positional(), LATENTS).encode(BATCH)
    backbone = Backbone.wrap(
        Positional(), LATENTS, call=lambda net, x: net(x["image"], x["text"])
    ).freeze()
    assert backbone.fuse(backbone.encode(BATCH)).shape == (9, 2)


def test_unknown_submodule_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match=r"'image_projector' is no submodule of Net; it has"):
        Backbone.wrap(Net(), {"image": "image_projector", "text": "text_proj"})


def test_submodule_without_a_usable_output():
    backbone = Backbone.wrap(DictNet(), {"image": "a", "text": "b"})
    x = {"image": X["image"], "text": torch.randn(9, 6, 4)}
    with pytest.raises(ValueError, match=r"'b' returns tuple of .*`Tap\('b', output=0\)`"):
        backbone.encode(Batch(x))


def test_fuse_before_encode():
    with pytest.raises(ValueError, match="call `encode` on a batch first"):
        Backbone.wrap(Net(), LATENTS).fuse({})


def test_latents_behind_the_fusion_are_refused():
    net = Net()
    backbone = Backbone.wrap(net, {"image": "trunk", "text": "text_proj"}).freeze()
    with pytest.raises(ValueError, match="latent of 'image' changes with the features of 'text'"):
        check_backbone(backbone, BATCH)


def test_rows_that_mix_are_refused():
    class Mixing(Net):
        def forward(self, image, text):
            y = super().forward(image, text)
            return y - y.mean(0)

    backbone = Backbone.wrap(Mixing(), LATENTS).freeze()
    with pytest.raises(ValueError, match="first row of `fuse` changes with the rows beside it"):
        check_backbone(backbone, BATCH)
