"""EfficientNet-Lite0: what goes in, what comes out, and that it stays as it was pretrained."""

import builtins

import pytest
import torch
import torch.nn.functional as F

from sure_pyro.backbones.pretrained import Lite0Encoder
from sure_pyro.backbones.pretrained.files import packaged
from sure_pyro.backbones.pretrained.pictures import WEIGHTS


def random_pictures(num_rows=2, height=20, width=30, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (num_rows, height, width, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(("size", "places"), [(32, 1), (64, 2), (160, 5)])
def test_the_map_has_a_place_for_every_32_pixels(pictures, size, places):
    encoder = Lite0Encoder(size)
    assert encoder(random_pictures()).shape == (2, 1280, places, places)


def test_weights_are_those_of_the_package(pictures):
    state = torch.load(packaged(*WEIGHTS), weights_only=True)
    own = pictures.net.state_dict()
    assert own.keys() == {k for k in state if not k.startswith("_fc.")}
    assert all(torch.equal(own[k], state[k]) for k in own)


def test_colours_are_scaled_as_the_weights_ask(pictures):
    x = random_pictures()
    scaled = (x.movedim(-1, 1).float() / 255 - 0.498) / 0.502
    scaled = F.interpolate(scaled, size=(64, 64), mode="bilinear", antialias=True)
    torch.testing.assert_close(pictures(x), pictures.net.extract_features(scaled))


def test_one_colour_is_the_same_at_every_size_and_not_the_same_as_another(pictures):
    def plain(height, colour):
        return torch.tensor(colour, dtype=torch.uint8).expand(1, height, height, 3)

    red, large_red, blue = (
        pictures(plain(*p)) for p in ((9, (255, 0, 0)), (90, (255, 0, 0)), (9, (0, 0, 255)))
    )
    torch.testing.assert_close(red, large_red, rtol=1e-3, atol=1e-4)
    assert (red - blue).abs().max() > 0.1


def test_it_stays_frozen_and_in_evaluation_mode_in_a_network_that_trains(pictures):
    x = random_pictures()
    expected = pictures(x)
    net = torch.nn.Sequential(pictures, torch.nn.Flatten(), torch.nn.Linear(1280 * 4, 2)).train()
    net(x).sum().backward()
    assert net.training
    assert not any(module.training for module in pictures.modules())
    assert all(p.grad is None for p in pictures.parameters())
    assert torch.equal(pictures(x), expected)


def test_rows_do_not_mix(pictures):
    x = random_pictures(3)
    torch.testing.assert_close(pictures(x)[1:2], pictures(x[1:2]), rtol=1e-4, atol=1e-5)


def test_it_follows_a_change_of_precision(pictures):
    assert Lite0Encoder(64).double()(random_pictures()).dtype == torch.float64


@pytest.mark.parametrize("size", [0, -32, 65])
def test_sizes_must_be_multiples_of_32(size):
    with pytest.raises(ValueError, match=f"`size` must be a multiple of 32 pixels; got {size}"):
        Lite0Encoder(size)


def test_a_missing_package_is_named_with_the_remedy(monkeypatch):
    own = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "efficientnet_lite_pytorch":
            raise ImportError(name)
        return own(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install 'sure-pyro.pretrained.'"):
        Lite0Encoder()
