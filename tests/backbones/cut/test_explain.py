"""Where a cut changes what a network says, the error names modality, cause and a way out."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sure_pyro.backbones import Backbone, Tap, check_backbone
from sure_pyro.data import Batch
from tests.backbones.cut import networks as n


class Skip(n.Plain):
    def __init__(self):
        super().__init__()
        self.widen = nn.Linear(5, 8)

    def project(self, image, text):
        return self.widen(image) + self.a(image), self.b(text)


class SkipInABlock(n.Plain):
    """The same, but a submodule holds the sum."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(5, 8), n.Block(8))

    def project(self, image, text):
        return self.block(image), self.b(text)


class GateOfTheInput(n.Plain):
    def project(self, image, text):
        return self.a(image), self.b(text) * text.mean(1, keepdim=True).sigmoid()


class MaskOfTheInput(n.Plain):
    """Whether something was recorded, read off the values."""

    def project(self, image, text):
        return self.a(image) * (image[:, :1] > 0), self.b(text)


class WeightsWithoutACall(n.Plain):
    def project(self, image, text):
        return self.a(image), self.b(text) + F.linear(text, self.b.weight)


class TwoInputs(n.Plain):
    """One projector, two views of the image."""

    def project(self, image, text):
        return self.a(image) + self.a(image.flip(1)), self.b(text)


def refused(net, latents=None, **options):
    torch.manual_seed(0)
    backbone = Backbone.wrap(net, latents or n.LATENTS, **options)
    with pytest.raises(ValueError, match=".") as error:  # the text is the caller's to check
        check_backbone(backbone, Batch(n.inputs()))
    return str(error.value)


@pytest.mark.parametrize(
    ("make", "name", "cause"),
    [
        (Skip, "image", "a skip connection"),
        (GateOfTheInput, "text", "a gate"),
        (MaskOfTheInput, "image", "a mask made of the input"),
        (WeightsWithoutACall, "text", "weights of 'b' that are used without calling it"),
        (TwoInputs, "image", "'a' is called on 2 different inputs in one pass"),
    ],
)
def test_what_is_read_past_the_cut(make, name, cause):
    said = refused(make())
    assert f"reads {name!r} past the cut at {n.LATENTS[name]!r}" in said
    assert cause in said
    assert "No submodule's output holds all" in said


def test_a_submodule_that_holds_all_of_it_is_named():
    said = refused(SkipInABlock(), {"image": "block.1.inner", "text": "b"})
    assert "reads 'image' past the cut at 'block.1.inner'" in said
    assert "Name 'block' or 'block.1'" in said


def test_latents_behind_the_fusion():
    class Normed(n.Plain):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(16)
            self.first = nn.Identity()

        def project(self, image, text):
            z = self.norm(torch.cat(super().project(image, text), -1))
            return self.first(z[:, :8]), z[:, 8:]

    said = refused(Normed(), {"image": "first", "text": "b"})
    assert "latent of 'image' changes with the features of 'text'" in said


def test_rows_that_mix():
    class Mixing(n.Plain):
        def forward(self, image, text):
            y = super().forward(image, text)
            return y - y.mean(0)

    assert "row of `fuse` changes with the rows beside it" in refused(Mixing())


@pytest.mark.parametrize("where", ["latent of 'image'", "representation"])
def test_random_numbers_in_evaluation_mode(where):
    class Dropping(n.Plain):
        def project(self, image, text):
            a = self.a(F.dropout(image, 0.5, True)) if "latent" in where else self.a(image)
            return F.dropout(a, 0.5, True), self.b(text)

    said = refused(Dropping())
    assert f"The {where} changes from call to call" in said


def test_a_submodule_that_is_not_called():
    class Direct(n.Plain):
        def project(self, image, text):
            return self.a.forward(image), self.b(text)

    said = refused(Direct())
    assert "'a' of modality 'image' is called 0 times" in said


def test_rows_along_another_axis():
    said = refused(n.StepsFirst(False), {"image": "a", "text": Tap("b", output=0)})
    assert "rows of the batch along axis 0; for 2 rows it has the shape (2, 2, 8)" in said
    assert "They run along axis 1: `Tap('b', output=0, axis=1)`" in said


def test_a_gate_that_is_open_in_most_rows():
    class Rarely(n.Plain):
        def project(self, image, text):
            return self.a(image) * (image[:, :1] > -1.3), self.b(text)

    rows = n.inputs(B=100)
    assert (rows["image"][:6, 0] > -1.3).all()  # the first rows do not show it
    backbone = Backbone.wrap(Rarely(), n.LATENTS)
    with pytest.raises(ValueError, match="reads 'image' past the cut at 'a'.* a gate"):
        check_backbone(backbone, Batch(rows))


def scripted():
    with warnings.catch_warnings():  # newer torch releases deprecate it
        warnings.simplefilter("ignore")
        return torch.jit.trace(n.Plain().eval(), example_kwarg_inputs=n.inputs())


class Lazy(n.Plain):
    def __init__(self):
        super().__init__()
        self.a = nn.LazyLinear(8)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (scripted, "scripted or traced as a whole, so nothing inside can be cut"),
        (Lazy, "'a.weight' takes its size from the first batch: run the network on some rows"),
        (lambda: n.Plain().to("meta"), "'a.weight' has no values .*: load the weights"),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_networks_that_can_not_be_opened_or_are_not_loaded(make, said):
    net = make()
    with pytest.raises(ValueError, match=said):
        Backbone.wrap(net, n.LATENTS)


def test_latents_are_a_mapping():
    # By the checker of types that the tests run under, or by the library itself.
    with pytest.raises(TypeError, match=r"(?s)mapping of modalities|latents.*Mapping"):
        Backbone.wrap(n.Plain(), ["a", "b"])


def test_latents_that_are_not_finite():
    class Logs(n.Plain):
        def __init__(self):
            super().__init__()
            self.c = nn.Identity()

        def project(self, image, text):
            return self.c(self.a(image).log()), self.b(text)

    said = refused(Logs(), {"image": "c", "text": "b"})
    assert "latent of 'image' is NaN or infinite" in said


def test_a_fusion_that_reads_padding_is_announced():
    class Means(n.Plain):
        def __init__(self):
            super().__init__()
            self.b = nn.Linear(2, 8)

        def project(self, image, text):
            return self.a(image), self.b(text).mean(1)

    text = torch.randn(7, 4, 2)
    exists = torch.arange(4) < torch.tensor([1, 2, 3, 4, 4, 2, 3])[:, None]
    batch = Batch({"image": torch.randn(7, 5), "text": text}, padding={"text": exists})
    net = Means()
    backbone = Backbone.wrap(net, n.LATENTS)
    with pytest.warns(
        UserWarning, match=r"reads tokens of 'text' that are padding.*mask=batch.pad"
    ):
        check_backbone(backbone, batch)
    cut = backbone.fuse(backbone.encode(batch))
    torch.testing.assert_close(cut, net(**batch.features), rtol=1e-6, atol=1e-6)
