"""What lies before the taps runs once per row, however many latents are fused."""

import pytest
import torch
from torch import nn

from sure_pyro.backbones import Backbone, Tap
from sure_pyro.data import Batch
from tests.backbones.cut import networks as n


class Counting(nn.Module):
    """Counts the rows that pass."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.rows = inner, [0]

    def forward(self, *args, **kwargs):
        self.rows[0] += len(args[0] if args else next(iter(kwargs.values())))
        return self.inner(*args, **kwargs)


class Heavy(n.Plain):
    """An encoder of its own before each projector; the second gives a tuple."""

    def __init__(self):
        super().__init__()
        self.image_encoder = Counting(nn.Linear(5, 5))
        self.text_encoder = Counting(nn.GRU(1, 4, batch_first=True))
        self.after = Counting(nn.Linear(8, 8))

    def project(self, image, text):
        _, h = self.text_encoder(text.unsqueeze(-1))
        return self.after(self.a(self.image_encoder(image).relu())), self.b(h[-1].relu_())


class Shared(Heavy):
    """One encoder for both modalities, called twice, under two names."""

    def __init__(self):
        super().__init__()
        self.text_encoder = self.image_encoder

    def project(self, image, text):
        text = torch.cat([text, text[:, :1]], 1)
        b = self.text_encoder(text)[:, :4]
        return self.after(self.a(self.image_encoder(image))), self.b(b)


@pytest.mark.parametrize("make", [Heavy, Shared])
def test_encoders_do_not_run_to_fuse(make):
    net = make()
    backbone = Backbone.wrap(net, n.LATENTS)
    latents = backbone.encode(Batch(n.inputs()))
    # Copies of the network count in lists of their own: all of them, wherever they are.
    cut = backbone.ready.cut.net
    for module in (cut.image_encoder, cut.text_encoder, cut.after):
        module.rows[0] = 0
    many = {name: z.repeat(10, 1) for name, z in latents.items()}
    fused = backbone.fuse(many)
    assert (cut.image_encoder.rows[0], cut.text_encoder.rows[0]) == (0, 0)
    assert cut.after.rows[0] == 70
    torch.testing.assert_close(fused[:7], net(**n.inputs()), rtol=1e-6, atol=1e-6)


def test_what_has_an_effect_behind_the_taps_is_run():
    class Late(n.Plain):
        def forward(self, image, text):
            bias = self.fusion(torch.ones(len(image), 16))  # before the taps, and needed
            return super().forward(image, text) + bias[:, :3]

    net = Late()
    backbone = Backbone.wrap(net, n.LATENTS)
    z = {name: torch.randn(3, 8) for name in n.LATENTS}
    backbone.encode(Batch(n.inputs()))
    expected = net.out(net.fusion(torch.cat(list(z.values()), -1)).tanh())
    expected = expected + net.fusion(torch.ones(3, 16))[:, :3]
    torch.testing.assert_close(backbone.fuse(z), expected)


def test_calls_of_one_submodule_belong_to_the_modalities_in_their_order():
    class Siamese(n.Plain):
        def forward(self, left, right):
            return self.out(self.fusion(torch.cat([self.a(left), self.a(right)], -1)))

    net = Siamese()
    x = {"left": torch.randn(4, 5), "right": torch.randn(4, 5)}
    for latents in ({"left": "a", "right": "a"}, {"left": Tap("a", call=0), "right": "a"}):
        backbone = Backbone.wrap(net, latents)
        z = backbone.encode(Batch(x))
        torch.testing.assert_close(z["right"], net.a(x["right"]))
        torch.testing.assert_close(backbone.fuse(z), net(**x))
