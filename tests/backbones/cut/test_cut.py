"""Cut or whole, a network says the same; and cutting it leaves no trace."""

import copy
import pickle

import pytest
import torch
from torch import nn

from sure_pyro.backbones import Backbone, Tap, check_backbone
from sure_pyro.data import Batch
from tests.backbones.cut import networks as n

CUTS = {
    "plain": (n.Plain, n.LATENTS),
    "residual block as a whole": (n.Residual, n.LATENTS),
    "inside a sequence": (n.Residual, {"image": "a.1", "text": "b"}),
    "gates": (n.Gated, n.LATENTS),
    "in place": (n.InPlace, n.LATENTS),
    "changes its inputs": (n.ChangesInputs, n.LATENTS),
    "weight norm": (n.WeightNormed, n.LATENTS),
    "adapters": (n.Adapted, n.LATENTS),
    "inside an adapter": (n.Adapted, {"image": "a", "text": "b"}),
    "compiled": (n.Compiled, n.LATENTS),
    "scripted": (n.Scripted, n.LATENTS),
    "data parallel": (
        lambda: nn.DataParallel(n.Plain()),
        {"image": "module.a", "text": "module.b"},
    ),
    "two names": (n.TwoNames, n.LATENTS),
    "called twice": (n.CalledTwice, n.LATENTS),
    "plain containers": (n.Hidden, n.LATENTS),
    "hooks": (n.Hooked, n.LATENTS),
    "forward replaced": (n.ForwardReplaced, n.LATENTS),
    "training mode": (n.TrainingMode, n.LATENTS),
    "attention": (n.Attention, n.LATENTS),
    "part of a tuple": (n.Recurrent, {"image": "a", "text": Tap("b", output=0)}),
    "steps first": (lambda: n.StepsFirst(False), {"image": "a", "text": Tap("b", 0, axis=1)}),
    "last state": (lambda: n.StepsFirst(True), {"image": "a", "text": Tap("b", 1, axis=1)}),
    "map": (n.Maps, n.LATENTS),
}


@pytest.mark.parametrize("kind", CUTS)
def test_fuse_of_encode_is_the_network(kind):
    make, latents = CUTS[kind]
    torch.manual_seed(0)
    net = make()
    backbone = Backbone.wrap(net, latents)
    cut = backbone.fuse(backbone.encode(Batch(n.inputs())))
    again = backbone.fuse(backbone.encode(Batch(n.inputs())))
    expected = copy.deepcopy(net).eval()(**n.inputs()) if kind != "compiled" else net(**n.inputs())
    torch.testing.assert_close(cut, expected, rtol=1e-6, atol=1e-6)
    assert torch.equal(cut, again)
    check_backbone(backbone, Batch(n.inputs()))


def test_the_old_weight_norm_whose_weight_is_made_anew_in_every_call():
    with pytest.warns(FutureWarning):
        net = n.OldWeightNormed()
    backbone = Backbone.wrap(net, n.LATENTS)
    cut = backbone.fuse(backbone.encode(Batch(n.inputs())))
    torch.testing.assert_close(cut, net(**n.inputs()), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        ("dictionary", None),
        ("dictionary", "logits"),
        ("tuple", 0),
        ("tuple", lambda result: result[0]),
        ("list of one", None),
        ("dataclass", None),
        ("dataclass", "logits"),
        ("named tuple", "logits"),
        ("named tuple", 1),
        ("nested", ("heads", "main")),
        ("nested", ("heads", "other", 1)),
    ],
)
def test_outputs_of_every_form(kind, output):
    net = n.Returns(kind)
    backbone = Backbone.wrap(net, n.LATENTS, output=output)
    cut = backbone.fuse(backbone.encode(Batch(n.inputs())))
    torch.testing.assert_close(cut, n.Plain.forward(net, **n.inputs()))


def test_one_number_per_row_is_one_output():
    net = n.Returns("one number")
    backbone = Backbone.wrap(net, n.LATENTS)
    cut = backbone.fuse(backbone.encode(Batch(n.inputs())))
    torch.testing.assert_close(cut, net(**n.inputs()).unsqueeze(1))


@pytest.mark.parametrize(
    ("kind", "output", "message"),
    [
        ("tuple", None, r"returns tuple of \{0: a tensor \(5, 3\), 1: .*say which tensor"),
        ("dictionary", "logit", r"'logits': a tensor .*'logit' does not give one"),
        ("nested", None, r"returns dict of \{'heads': dict of \{'main'"),
    ],
)
def test_an_output_that_is_not_clear_is_asked_for(kind, output, message):
    backbone = Backbone.wrap(n.Returns(kind), n.LATENTS, output=output)
    with pytest.raises(ValueError, match=message):
        backbone.encode(Batch(n.inputs()))


def state(net):
    """All that a trace could be left in."""
    return {
        path: (
            type(m),
            m.training,
            sorted(m.__dict__),
            {k: list(v) for k, v in m.__dict__.items() if "hooks" in k and isinstance(v, dict)},
            [p.requires_grad for p in m.parameters()],
            m.__dict__.get("forward"),
        )
        for path, m in net.named_modules()
    }


@pytest.mark.parametrize("make", [n.Plain, n.Hooked, n.ForwardReplaced, n.TrainingMode, n.Hidden])
def test_the_network_stays_as_it_was(make):
    net = make()
    before, tensors = state(net), {k: v.clone() for k, v in net.state_dict().items()}
    backbone = Backbone.wrap(net, n.LATENTS).freeze()
    check_backbone(backbone, Batch(n.inputs()))
    backbone.train()
    assert state(net) == before
    assert all(torch.equal(v, tensors[k]) for k, v in net.state_dict().items())


def test_tensors_are_shared_and_inputs_are_left_alone():
    net = n.ChangesInputs()
    backbone = Backbone.wrap(net, n.LATENTS)
    x = n.inputs()
    batch = Batch(x)
    backbone.fuse(backbone.encode(batch))
    assert torch.equal(batch.features["image"], x["image"])
    owners = {p.untyped_storage().data_ptr() for p in net.parameters()}
    assert {p.untyped_storage().data_ptr() for p in backbone.net.parameters()} == owners
    assert not any(p.requires_grad for p in backbone.parameters())


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_wrapped_network_can_be_copied_and_pickled(again):
    backbone = Backbone.wrap(n.Plain(), n.LATENTS)
    expected = backbone.fuse(backbone.encode(Batch(n.inputs())))
    other = again(backbone)
    assert torch.equal(other.fuse(other.encode(Batch(n.inputs()))), expected)


def test_given_latents_are_not_overwritten_and_have_gradients():
    net = n.InPlace()
    backbone = Backbone.wrap(net, n.LATENTS)
    z = backbone.encode(Batch(n.inputs()))
    z = {name: x.requires_grad_() for name, x in z.items()}
    before = {name: x.detach().clone() for name, x in z.items()}
    y = backbone.fuse(z)
    gradients = torch.autograd.grad(y.sum(), list(z.values()))
    assert all(torch.equal(x, before[name]) for name, x in z.items())
    assert all(g.abs().sum() > 0 for g in gradients)


class Sequences(nn.Module):
    """Token numbers with their mask; the fusion attends to the tokens that exist."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(5, 8)
        self.embedding, self.b = nn.Embedding(11, 8), nn.Linear(8, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, image, input_ids, attention_mask):
        tokens = self.b(self.embedding(input_ids))
        query = self.a(image).unsqueeze(1)
        hidden = attention_mask == 0
        return self.out(self.attention(query, tokens, tokens, key_padding_mask=hidden)[0][:, 0])


def padded(B=9, L=6):
    g = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, L + 1, (B,), generator=g)
    mask = (torch.arange(L) < lengths[:, None]).long()
    ids = torch.randint(1, 11, (B, L), generator=g)
    ids[:, -1] = 10  # the vocabulary's last
    text = {"input_ids": ids * mask, "attention_mask": mask}
    return {"image": torch.randn(B, 5, generator=g), "text": text}


@pytest.mark.parametrize("left", [False, True])
def test_padding_reaches_the_encoder_and_the_fusion(left):
    torch.manual_seed(0)
    net = Sequences().eval()
    x = padded()
    if left:
        x["text"] = {name: t.flip(1) for name, t in x["text"].items()}
    backbone = Backbone.wrap(net, {"image": "a", "text": "b"})
    batch = Batch(x)
    latents = backbone.encode(batch)
    assert torch.equal(latents["text"].exists, x["text"]["attention_mask"] == 1)
    expected = net(x["image"], **x["text"])
    torch.testing.assert_close(backbone.fuse(latents), expected, rtol=1e-6, atol=1e-6)
    check_backbone(backbone, batch)
    noisy = latents["text"].values + 100.0 * (~latents["text"].exists).unsqueeze(-1)
    moved = backbone.fuse({**latents, "text": latents["text"]._replace(values=noisy)})
    assert torch.equal(moved, backbone.fuse(latents))


def test_latents_of_another_length_need_to_say_what_exists():
    class Downsampled(Sequences):
        def forward(self, image, input_ids, attention_mask):
            halves = self.embedding(input_ids).unflatten(1, (-1, 2)).mean(2)
            return self.out(self.a(image) + self.b(halves).mean(1))

    batch = Batch(padded())
    backbone = Backbone.wrap(Downsampled(), {"image": "a", "text": "b"})
    with pytest.raises(ValueError, match=r"'text' has 3 tokens, its padding mask speaks of \(6,\)"):
        backbone.encode(batch)

    def exists(batch):
        return batch.padding["text"].unflatten(1, (-1, 2)).any(2)

    latents = {"image": "a", "text": Tap("b", exists=exists)}
    tokens = Backbone.wrap(Downsampled(), latents).encode(batch)["text"]
    assert torch.equal(tokens.exists, exists(batch))


def test_steps_first_become_tokens_of_rows():
    net = n.StepsFirst(False).eval()
    found = Backbone.wrap(net, {"image": "a", "text": Tap("b", 0, axis=1)}).encode(n.inputs())
    steps = net.b(n.inputs()["text"].reshape(-1, 2, 2).transpose(0, 1))[0]  # (L, B, D)
    torch.testing.assert_close(found["text"], steps.transpose(0, 1).detach())


def test_a_scripted_part_of_the_users_network_stays_as_it_was():
    """Its mode and its flags live in the scripted module itself, which can not be shared."""
    net = n.Scripted().train()
    backbone = Backbone.wrap(net, n.LATENTS)
    backbone.freeze().encode(n.inputs())
    assert net.a.training
    assert all(p.requires_grad for p in net.parameters())
    assert not any(p.requires_grad for p in backbone.parameters())
