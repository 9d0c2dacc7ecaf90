"""Networks as people have them, in small: each is cut at ``a`` (of the image) and ``b`` (text)."""

import functools
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LATENTS = {"image": "a", "text": "b"}


def inputs(B=7, seed=0):
    g = torch.Generator().manual_seed(seed)
    return {"image": torch.randn(B, 5, generator=g), "text": torch.randn(B, 4, generator=g)}


class Plain(nn.Module):
    """Two projectors, a fusion and a readout."""

    def __init__(self, H=8):
        super().__init__()
        self.a, self.b = nn.Linear(5, H), nn.Linear(4, H)
        self.fusion, self.out = nn.Linear(2 * H, H), nn.Linear(H, 3)

    def project(self, image, text):
        return self.a(image), self.b(text)

    def forward(self, image, text):
        return self.out(self.fusion(torch.cat(self.project(image, text), -1)).tanh())


class Block(nn.Module):
    """A residual block, to be named as a whole."""

    def __init__(self, D):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(D, D), nn.ReLU(inplace=True), nn.Linear(D, D))

    def forward(self, x):
        return x + self.inner(x)


class Residual(Plain):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(5, 8), Block(8))


class Gated(Plain):
    """Each latent opens or closes the other."""

    def project(self, image, text):
        a, b = self.a(image), self.b(text)
        return a * b.sigmoid(), b * a.sigmoid()


class InPlace(Plain):
    """Activations that overwrite what they are given."""

    def project(self, image, text):
        a = F.relu_(self.a(image))
        b = self.b(text)
        b += 1.0
        return a, b


class ChangesInputs(Plain):
    def forward(self, image, text):
        image /= 2.0
        return super().forward(image, text)


class WeightNormed(Plain):
    def __init__(self):
        super().__init__()
        self.a = nn.utils.parametrizations.weight_norm(self.a)
        self.out = nn.utils.parametrizations.spectral_norm(self.out)


class OldWeightNormed(Plain):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.utils.weight_norm(self.a)


class LoRA(nn.Module):
    """A low-rank adapter around a layer."""

    def __init__(self, base, rank=2):
        super().__init__()
        self.base_layer = base
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, base.out_features, bias=False)

    def forward(self, x):
        return self.base_layer(x) + self.up(self.down(x))


class Adapted(Plain):
    def __init__(self):
        super().__init__()
        self.a, self.out = LoRA(self.a), LoRA(self.out)


class Compiled(Plain):
    def __init__(self):
        super().__init__()
        self.a = torch.compile(self.a, backend="eager")
        self.fusion.compile(backend="eager")


class Scripted(Plain):
    def __init__(self):
        super().__init__()
        with warnings.catch_warnings():  # newer torch releases deprecate it
            warnings.simplefilter("ignore")
            self.a = torch.jit.script(nn.Sequential(self.a, nn.ReLU()))


class TwoNames(Plain):
    """One module under two names, each called once."""

    def __init__(self):
        super().__init__()
        self.b = nn.Linear(5, 8)
        self.a = self.b

    def project(self, image, text):
        return self.a(image), self.b(F.pad(text, (0, 1)))


class CalledTwice(Plain):
    """The same projector on the same input, twice."""

    def project(self, image, text):
        return self.a(image) + self.a(image).tanh(), self.b(text)


class Hidden(Plain):
    """Projectors that are called through a plain dictionary, and one that is in a list only."""

    def __init__(self):
        super().__init__()
        self.towers = {"image": self.a, "text": self.b}
        self.extra = [nn.Linear(8, 8)]

    def project(self, image, text):
        a, b = self.towers["image"](image), self.towers["text"](text)
        return self.extra[0](a), b


class Hooked(Plain):
    """Hooks of the user: one scales, one shifts the input, one takes keywords."""

    def __init__(self):
        super().__init__()
        self.a.register_forward_hook(lambda m, args, out: 3.0 * out)
        self.b.register_forward_pre_hook(lambda m, args: (args[0] + 1.0,))
        self.fusion.register_forward_hook(lambda m, a, k, out: out.sin(), with_kwargs=True)


class ForwardReplaced(Plain):
    """``forward`` replaced on the instance, by a closure, a partial function and a bound method."""

    def __init__(self):
        super().__init__()
        old = self.a.forward
        self.a.forward = lambda x: 5.0 * old(x)
        self.b._old_forward = self.b.forward
        self.b.forward = functools.partial(_new_forward, self.b)
        self.out.forward = self.negated

    def negated(self, x):
        return -F.linear(x, self.out.weight, self.out.bias)


def _new_forward(module, x):
    return 2.0 * module._old_forward(x)


class TrainingMode(Plain):
    """Left in training mode by the user, with dropout and batch normalisation."""

    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm1d(8)

    def project(self, image, text):
        return self.norm(self.a(image)), self.drop(self.b(text))


class Attention(Plain):
    """Tokens of both modalities attend to each other."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, image, text):
        tokens = torch.stack(self.project(image, text), 1)
        return self.out(self.attention(tokens, tokens, tokens)[0].mean(1))


class Recurrent(Plain):
    """A latent that is a part of a tuple: the outputs of a GRU."""

    def __init__(self):
        super().__init__()
        self.b = nn.GRU(2, 8, batch_first=True)

    def project(self, image, text):
        return self.a(image), self.b(text.reshape(len(text), 2, 2))[0].mean(1)


class StepsFirst(Plain):
    """Steps come before rows, in the outputs of a GRU and in its last state."""

    def __init__(self, last: bool):
        super().__init__()
        self.b, self.last = nn.GRU(2, 8), last

    def project(self, image, text):
        outputs, states = self.b(text.reshape(len(text), 2, 2).transpose(0, 1))
        return self.a(image), states[-1] if self.last else outputs.mean(0)


class Maps(Plain):
    """A latent that is a map of places, as convolutions give it."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 8, (1, 2))

    def project(self, image, text):
        return self.a(image[:, None, None, :]).mean((2, 3)), self.b(text)


@dataclass
class Result:
    logits: Tensor
    hidden: Tensor
    loss: Tensor | None = None


class Named(NamedTuple):
    hidden: Tensor
    logits: Tensor


class Returns(Plain):
    """What comes back is a dictionary, a tuple, a dataclass, a nested one, or of shape (B,)."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, image, text):
        h = torch.cat(self.project(image, text), -1)
        y = super().forward(image, text)
        return {
            "dictionary": {"logits": y, "hidden": h},
            "tuple": (y, h),
            "list of one": [y],
            "dataclass": Result(y, h),
            "named tuple": Named(h, y),
            "nested": {"heads": {"main": y, "other": (h, y)}},
            "one number": y[:, 0],
        }[self.kind]
